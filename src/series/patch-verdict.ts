import { z } from 'zod';

/** What the check of a series says of a patch, or of what else it looks at. */
export const patchVerdict = z.object({
  patch: z.string(),
  /** Of checkpatch (if the tree has it), of the compiler with W=1, of sparse, and about exports without kernel-doc. */
  complaints: z.array(z.string()),
  /** Why the tree does not build with the series up to this patch. */
  buildFailure: z.string().optional(),
});

export type PatchVerdict = z.infer<typeof patchVerdict>;

export function isGood({ complaints, buildFailure }: PatchVerdict): boolean {
  return complaints.length === 0 && buildFailure === undefined;
}

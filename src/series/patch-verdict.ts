/** What the check of a series says of a patch, or of what else it looks at. */
export interface PatchVerdict {
  readonly patch: string;
  /** Of checkpatch (if the tree has it), of the compiler with W=1, of sparse, and about exports without kernel-doc. */
  readonly complaints: readonly string[];
  /** Why the tree does not build with the series up to this patch. */
  readonly buildFailure?: string;
}

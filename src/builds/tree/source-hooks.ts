/** hooks.json: how a folder of our own is wired into a foreign source tree, one line or one file at a time. */

import { z } from 'zod';

import { RigError } from '../../util/rig-error.ts';

const lineHook = z.strictObject({
  file: z.string().min(1),
  /** A whole line of `file` that occurs exactly once. */
  after: z.string().min(1),
  line: z.string().min(1),
});
const copyHook = z.strictObject({
  /** A file beside hooks.json. */
  copy: z.string().min(1),
  to: z.string().min(1),
});

const sourceHooks = z.array(z.union([lineHook, copyHook]));

export type LineHook = z.infer<typeof lineHook>;
export type SourceHook = z.infer<typeof sourceHooks>[number];

export function parseHooks(text: string, where: string): SourceHook[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new RigError('usage', `${where} is not JSON: ${String(cause)}`, { remedy: `Correct ${where}.`, cause });
  }
  const result = sourceHooks.safeParse(data);
  if (result.success) return result.data;
  throw new RigError('usage', `${where} is not a list of hooks:\n${z.prettifyError(result.error)}`, {
    remedy: `Correct ${where}.`,
  });
}

/** `content` with the hook's line inserted; a message when its anchor is not there exactly once. */
export function insertHookLine(content: string, { file, after, line }: LineHook): { text: string } | { fault: string } {
  const lines = content.split('\n');
  const places = lines.flatMap((found, index) => (found.trimEnd() === after ? [index] : []));
  const [place] = places;
  if (place === undefined) return { fault: `${file} has no line "${after}"` };
  if (places.length > 1) return { fault: `${file} has ${places.length} lines "${after}", where one is needed` };
  return { text: lines.toSpliced(place + 1, 0, line).join('\n') };
}

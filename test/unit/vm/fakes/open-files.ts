/** What this process has not closed. */
import { readdir, readlink } from 'node:fs/promises';

/** Files in this folder that this process has open. */
export async function openFilesIn(folder: string): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((target) => target.startsWith(`${folder}/`));
}

/** Folders for the temporary files of one command, where the system has such. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';

/** The name says whose it is: the host's, as several may share the place, and the process's. */
const NAME = /^dgpu-rig-[a-z]+-(.+)-(\d+)-\w{6}$/;

/**
 * Makes a folder, which its maker removes. Those of rigs that were killed before they could do so are removed first.
 */
export async function temporaryFolder(purpose: string): Promise<string> {
  await removeAbandoned();
  return mkdtemp(path.join(tmpdir(), `dgpu-rig-${purpose}-${hostname()}-${String(process.pid)}-`));
}

async function removeAbandoned(): Promise<void> {
  const names = await readdir(tmpdir()).catch((): string[] => []);
  for (const name of names) {
    const [, host, pid = ''] = NAME.exec(name) ?? [];
    if (host !== hostname() || existsSync(`/proc/${pid}`)) continue;
    // One of another user stays.
    await rm(path.join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

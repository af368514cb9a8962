/** Debian's virtme-ng, to measure against: unpacked in the cache, never installed. */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Emit } from '../../util/rig-event.ts';
import { openAptRoot } from './apt-root.ts';
import { obtainEntry, type EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { extractDeb } from './debian-packages.ts';

/** Debian 12 has none. */
const PACKAGE = 'virtme-ng/trixie';

/** The folder that it is unpacked in, as if that were the root. */
export async function obtainVirtmeNg(emit: Emit, signal: AbortSignal): Promise<string> {
  const key = contentKey({ package: PACKAGE });
  return obtainEntry({ stage: 'virtme-ng', title: 'Fetch virtme-ng from Debian', key, build: download }, emit, signal);
}

async function download({ folder, step, signal, log }: EntryWork): Promise<void> {
  const apt = await openAptRoot({ log, signal, onLine: (line) => step.progress(line) });
  await apt.run('Reading the package lists of Debian', ['apt-get', '--error-on=any', '-q', 'update'], folder);
  await apt.run('Fetching virtme-ng from Debian', ['apt-get', '-q', 'download', PACKAGE], folder);
  const [deb] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
  if (deb === undefined) throw new Error('apt delivered no virtme-ng');
  await extractDeb(path.join(folder, deb), folder, { log, signal });
  await rm(path.join(folder, deb));
}

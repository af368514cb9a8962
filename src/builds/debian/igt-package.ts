/** IGT's tests from Debian, with their libraries: what the guest needs of them, packed in the cache, not installed. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { repositoryPath } from '../../config/paths.ts';
import type { Emit } from '../../util/rig-event.ts';
import { RigError } from '../../util/rig-error.ts';
import { obtainEntry, type EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { extractDeb, obtainPackages } from './debian-packages.ts';
import { loadPackageSources, wantedBinaries } from './package-sources.ts';

const PROGRAMS = 'usr/libexec/igt-gpu-tools';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const ARCHIVE = 'igt.tar.gz';
const LIST = repositoryPath('rig/igt/tests.txt');

/** How a program is started in a guest that has other libraries: by its own loader. */
export const IGT_LOADER = `${LIBRARIES}/ld-linux-x86-64.so.2 --library-path ${LIBRARIES}`;

interface Igt {
  /** To be unpacked anywhere in the guest. */
  readonly archive: string;
  /** Of Debian's package. */
  readonly version: string;
  /** Names of the programs. */
  readonly programs: readonly string[];
}

export async function obtainIgt(emit: Emit, signal: AbortSignal): Promise<Igt> {
  const { igt } = await loadPackageSources();
  const packages = await obtainPackages('Fetch IGT from Debian', wantedBinaries(igt), emit, signal);
  const programs = await listedPrograms();
  const key = contentKey({ packages: packages.map(({ identity }) => identity), programs });
  const build = async (work: EntryWork): Promise<void> => {
    const root = await mkdtemp(path.join(work.folder, 'root-'));
    for (const { file } of packages) await extractDeb(file, root, work);
    const files = programs.map((name) => `${PROGRAMS}/${name}`);
    const libraries = await librariesOf(root, files);
    const argv = ['tar', '-czhf', path.join(work.folder, ARCHIVE), ...files, ...libraries] as const;
    await runBuildCommand({ what: 'Packing IGT', argv, cwd: root, log: work.log, signal: work.signal });
    await rm(root, { recursive: true });
  };
  const folder = await obtainEntry({ stage: 'igt', title: 'Unpack IGT', key, build }, emit, signal);
  return { archive: path.join(folder, ARCHIVE), version: packages[0]?.version ?? '', programs };
}

export function igtProgram(name: string): string {
  return `${PROGRAMS}/${name}`;
}

async function listedPrograms(): Promise<string[]> {
  const lines = (await readFile(LIST, 'utf8')).split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

/** All that these files are linked with, directly or not; and what starts them. */
async function librariesOf(root: string, files: readonly string[]): Promise<string[]> {
  const found = new Set<string>([`${LIBRARIES}/ld-linux-x86-64.so.2`]);
  const toRead = [...files];
  for (let file = toRead.pop(); file !== undefined; file = toRead.pop()) {
    for (const name of await neededBy(path.join(root, file))) {
      const library = `${LIBRARIES}/${name}`;
      if (found.has(library)) continue;
      found.add(library);
      toRead.push(library);
    }
  }
  return [...found];
}

async function neededBy(file: string): Promise<string[]> {
  const { stdout } = await execa('readelf', ['-d', '--wide', file]).catch((cause: unknown) => {
    throw new RigError(
      'infrastructure',
      `${path.basename(file)} can't be read: Debian's packages of IGT have changed.`,
      {
        remedy: 'The packages are listed in rig/sources.yaml, and the programs in rig/igt/tests.txt.',
        cause,
      },
    );
  });
  return [...stdout.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name = '']) => name);
}

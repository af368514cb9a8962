/** How often each line and function was executed, and by which suites: what gcov says of many VMs, added up. */
import { mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { buildEnvironment } from '../../builds/tree/build-environment.ts';
import type { Profiled } from '../../builds/kernel/kernel-build.ts';
import { NOTES } from '../../builds/kernel/profiled-code.ts';
import { listFiles } from '../../cache/content-key.ts';
import { RigError } from '../../util/rig-error.ts';
import { temporaryFolder } from '../../util/temporary-folder.ts';

interface Count {
  count: number;
  readonly suites: Set<string>;
}

interface FunctionCount extends Count {
  readonly line: number;
}

export interface FileCounts {
  /** By their numbers, from 1; only those that the compiler has made code of. */
  readonly lines: Map<number, Count>;
  readonly functions: Map<string, FunctionCount>;
}

export interface Counts {
  /** By their paths in the tree. */
  readonly files: Map<string, FileCounts>;
  /** Those whose counters came to the host. */
  readonly vms: readonly string[];
  /** Those that ended before. */
  readonly lost: readonly string[];
}

/** `folder` has SUITE/VM folders; one that is empty stands for a VM whose counters are lost. */
export async function readCounts(folder: string, profiled: Profiled): Promise<Counts> {
  const notes = await listFiles(path.join(profiled.folder, NOTES));
  const vms = await vmFolders(folder);
  const found = await Promise.all(vms.map(async (vm) => [vm, await countersIn(path.join(folder, vm), notes)] as const));
  const alive = found.filter(([, counters]) => counters.size > 0);
  const files = new Map<string, FileCounts>();
  // First what there is, none of it executed: a module that no test loads has no counters.
  add(files, await runGcov(new Map(), profiled, notes), undefined);
  const rest = [...alive];
  const work = async (): Promise<void> => {
    for (let next = rest.shift(); next; next = rest.shift()) {
      const [vm, counters] = next;
      add(files, await runGcov(counters, profiled, notes), path.dirname(vm));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const names = alive.map(([vm]) => vm);
  return { files, vms: names, lost: vms.filter((vm) => !names.includes(vm)) };
}

async function vmFolders(folder: string): Promise<string[]> {
  const suites = await readdir(folder).catch(() => []);
  const vms = await Promise.all(
    suites.map(async (suite) => (await readdir(path.join(folder, suite))).map((vm) => path.join(suite, vm))),
  );
  return vms.flat().sort();
}

/** Files with counters by their notes. The kernel calls them by where they were compiled, below a folder of its own. */
async function countersIn(folder: string, notes: readonly string[]): Promise<Map<string, string>> {
  const files = (await listFiles(folder)).filter((file) => file.endsWith('.gcda'));
  return new Map(
    files.flatMap((file) => {
      const note = notes.find((name) => `/${file}`.endsWith(`/${name.replace(/gcno$/, 'gcda')}`));
      return note === undefined ? [] : [[note, path.join(folder, file)] as const];
    }),
  );
}

const gcovFile = z.object({
  file: z.string(),
  functions: z.array(z.object({ name: z.string(), start_line: z.number(), execution_count: z.number() })),
  lines: z.array(z.object({ line_number: z.number(), count: z.number() })),
});
const gcovOutput = z.object({ files: z.array(gcovFile) });
type GcovFile = z.infer<typeof gcovFile>;

/** What gcov says, and goes on without the counters. That there are none is no complaint. */
const MISREAD = /:(?:stamp mismatch|profile mismatch|not a gcov|version|corrupted|overflowed|unknown function)/;

/** gcov wants notes and counters in one folder. */
async function runGcov(
  counters: ReadonlyMap<string, string>,
  { folder, gcov }: Profiled,
  notes: readonly string[],
): Promise<GcovFile[]> {
  const place = await temporaryFolder('gcov');
  try {
    for (const note of notes) {
      const target = path.join(place, note);
      await mkdir(path.dirname(target), { recursive: true });
      await symlink(path.join(folder, NOTES, note), target);
      const counted = counters.get(note);
      if (counted !== undefined) await symlink(counted, target.replace(/gcno$/, 'gcda'));
    }
    const { stdout, stderr, failed, shortMessage } = await execa(gcov, ['--json-format', '--stdout', ...notes], {
      cwd: place,
      env: buildEnvironment(),
      extendEnv: false,
      reject: false,
      maxBuffer: 1e9,
    });
    const complaint = stderr.split('\n').find((line) => MISREAD.test(line));
    if (failed || complaint !== undefined) {
      throw new RigError('infrastructure', `gcov can't read the counters: ${complaint ?? shortMessage}`);
    }
    const objects = stdout.split('\n').filter((line) => line.startsWith('{'));
    return objects.flatMap((line) => gcovOutput.parse(JSON.parse(line)).files);
  } finally {
    await rm(place, { recursive: true });
  }
}

function add(all: Map<string, FileCounts>, found: readonly GcovFile[], suite: string | undefined): void {
  for (const { file, functions, lines } of found) {
    const counts = entry<string, FileCounts>(all, path.posix.normalize(file), () => ({
      lines: new Map(),
      functions: new Map(),
    }));
    for (const { line_number: line, count } of lines) {
      const counted = entry<number, Count>(counts.lines, line, () => ({ count: 0, suites: new Set() }));
      raise(counted, count, suite);
    }
    for (const { name, start_line: line, execution_count: count } of functions) {
      const counted = entry<string, FunctionCount>(counts.functions, name, () => ({
        line,
        count: 0,
        suites: new Set(),
      }));
      raise(counted, count, suite);
    }
  }
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

function raise(counted: Count, by: number, suite: string | undefined): void {
  counted.count += by;
  if (by > 0 && suite !== undefined) counted.suites.add(suite);
}

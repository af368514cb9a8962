/** The one record of what was covered, from which everything that is written about it is made. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Patch } from '../../builds/tree/patch-series.ts';
import { SOURCES } from '../../builds/kernel/profiled-code.ts';
import { contentKey, listFiles } from '../../cache/content-key.ts';
import { ownersOfLines, type Owners } from '../../series/added-lines.ts';
import type { Counts, FileCounts } from './line-counts.ts';

export interface Share {
  /** Lines that the compiler has made code of. */
  readonly lines: number;
  readonly covered: number;
}

export interface CoveredLine {
  readonly line: number;
  readonly count: number;
  /** Those that reach it. */
  readonly suites: readonly string[];
}

interface CoveredFunction extends CoveredLine {
  readonly name: string;
}

export interface CoveredFile extends Share {
  readonly file: string;
  /** See `sourceKey`: of another text, the numbers of its lines say nothing. */
  readonly key: string;
  readonly counts: readonly CoveredLine[];
  readonly functions: readonly CoveredFunction[];
}

/** What a patch adds, of each file. */
export interface CoveredPatch extends Share {
  /** As its file is called, without the ending. */
  readonly patch: string;
  readonly files: readonly AddedLines[];
}

export interface AddedLines extends Omit<CoveredFile, 'functions' | 'key'> {
  /** All that it adds, code or not. */
  readonly added: readonly number[];
}

export interface CoverageReport {
  readonly schema: 1;
  readonly kernel: string;
  readonly suites: readonly string[];
  readonly vms: { readonly counted: number; readonly lost: readonly string[] };
  readonly series: Share;
  readonly driver: Share;
  readonly patches: readonly CoveredPatch[];
  /** Whole files: those of the driver and of TTM, and those that the series touches. */
  readonly files: readonly CoveredFile[];
}

/** Files by their paths in the tree, as lines. */
export type Sources = ReadonlyMap<string, readonly string[]>;

export async function readSources(profiled: string): Promise<Sources> {
  const folder = path.join(profiled, SOURCES);
  const files = await listFiles(folder);
  return new Map(
    await Promise.all(
      files.map(async (file) => [file, (await readFile(path.join(folder, file), 'utf8')).split('\n')] as const),
    ),
  );
}

/** Of the text of a source file, by its lines. */
export function sourceKey(lines: readonly string[]): string {
  return contentKey({ text: lines.join('\n') });
}

interface Measured {
  readonly kernel: string;
  readonly sources: Sources;
  readonly series: readonly Patch[];
  /** The folder of the driver in the tree. */
  readonly driver: string;
  /** Of each file that is counted. */
  readonly owners: ReadonlyMap<string, Owners>;
  readonly counts: Counts;
}

export function ownersIn(sources: Sources, series: readonly Patch[]): Map<string, Owners> {
  return new Map([...sources].map(([file, lines]) => [file, ownersOfLines(file, lines.join('\n'), series)]));
}

export function coverageReport({ kernel, sources, series, driver, owners, counts }: Measured): CoverageReport {
  const files = [...sources]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([file, lines]) => {
      const found = counts.files.get(file);
      return found === undefined ? [] : [coveredFile(file, sourceKey(lines), found)];
    });
  const patches = coveredPatches(files, series, owners);
  return {
    schema: 1,
    kernel,
    suites: [...new Set([...counts.vms, ...counts.lost].map((vm) => path.dirname(vm)))].sort(),
    vms: { counted: counts.vms.length, lost: counts.lost },
    series: total(patches),
    driver: total(files.filter(({ file }) => file.startsWith(`${driver}/`))),
    patches,
    files,
  };
}

function coveredFile(file: string, key: string, { lines, functions }: FileCounts): CoveredFile {
  const counts = [...lines]
    .map(([line, { count, suites }]): CoveredLine => ({ line, count, suites: [...suites].sort() }))
    .sort((a, b) => a.line - b.line);
  const called = [...functions]
    .map(([name, { line, count, suites }]): CoveredFunction => ({ name, line, count, suites: [...suites].sort() }))
    .sort((a, b) => a.line - b.line);
  return { file, key, ...shareOf(counts), counts, functions: called };
}

function coveredPatches(
  files: readonly CoveredFile[],
  series: readonly Patch[],
  owners: Measured['owners'],
): CoveredPatch[] {
  return series.map((patch) => {
    const parts = files.flatMap(({ file, counts }) => {
      const added = (owners.get(file) ?? []).flatMap((owner, index) => (owner === patch ? [index + 1] : []));
      const own = counts.filter(({ line }) => added.includes(line));
      return own.length === 0 ? [] : [{ file, ...shareOf(own), counts: own, added }];
    });
    return { patch: patch.name.replace(/\.patch$/, ''), ...total(parts), files: parts };
  });
}

function shareOf(counts: readonly CoveredLine[]): Share {
  return { lines: counts.length, covered: counts.filter(({ count }) => count > 0).length };
}

export function total(shares: readonly Share[]): Share {
  return {
    lines: shares.reduce((sum, { lines }) => sum + lines, 0),
    covered: shares.reduce((sum, { covered }) => sum + covered, 0),
  };
}

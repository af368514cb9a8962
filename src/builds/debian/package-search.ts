/**
 * Finds each package in the first archive that has it, and fetches it from there; says where it looked when none has.
 */

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';

import { RigError } from '../../util/rig-error.ts';
import type { Step } from '../../util/step.ts';
import { openAptRoot } from './apt-root.ts';
import type { AptRoot, AptRun, Offer } from './apt-root.ts';
import type { AptArchive, AptSuite } from './apt-sources.ts';
import type { SourceOrder, WantedPackage } from './package-sources.ts';

/** What was fetched, as the cache remembers it. */
export const fetchedPackage = z.strictObject({
  name: z.string(),
  /** Debian's version, with its epoch. */
  version: z.string(),
  /** The .dsc or .deb. */
  file: z.string(),
  /** Of that file; a .dsc has those of all files that belong to it. */
  sha256: z.string(),
  /** Suite and archive. */
  from: z.string(),
  /** What the archives before that one answered. */
  notFrom: z.array(z.string()),
});
export type FetchedPackage = z.infer<typeof fetchedPackage>;

export interface SearchOptions extends AptRun {
  readonly order: SourceOrder;
  /** Stands for the archive "system". */
  readonly system: AptArchive;
  /** Where the files go. */
  readonly folder: string;
}

/** Shows what apt fetches. */
export function fetchedLine({ progress }: Pick<Step, 'progress'>): AptRun['onLine'] {
  return (line) => {
    const [, what] = /^Get:\d+ \S+ (.+)$/.exec(line) ?? [];
    if (what !== undefined) progress(what);
  };
}

/** A suite of Debian's, of the first archive that answers. */
export async function openSuite(suite: string, { order, system, ...run }: SearchOptions): Promise<AptRoot> {
  const faults: string[] = [];
  for (const { archive: name, 'check-valid-until': checkValidUntil } of order.filter(
    ({ suites }) => suites === 'own',
  )) {
    const archive = name === 'system' ? system : { ...system, uris: [name] };
    const root = await openAptRoot({ archive, name: suite, checkValidUntil }, run).catch((error: unknown) => {
      if (!(error instanceof RigError)) throw error;
      faults.push(`${archive.uris.join(', ')}: ${error.message}`);
      return undefined;
    });
    if (root) return root;
  }
  throw new RigError('infrastructure', `No archive has ${suite} of Debian: ${faults.join('; ')}`, {
    remedy: 'Check the network and the proxy; add an archive to rig/sources.yaml.',
  });
}

interface Found {
  readonly want: WantedPackage;
  readonly offer: Offer;
  readonly suite: AptSuite;
  readonly root: AptRoot;
}

/** By package, what the suites said that lack it. */
type Answers = ReadonlyMap<WantedPackage, string[]>;

export async function fetchPackages(
  wanted: readonly WantedPackage[],
  options: SearchOptions,
): Promise<FetchedPackage[]> {
  const answers: Answers = new Map(wanted.map((want) => [want, []]));
  const found = new Map<WantedPackage, Found>();
  for (const step of options.order) {
    const lacking = wanted.filter((want) => !found.has(want));
    for (const [want, offers] of await askSuites(step, { lacking, answers }, options)) {
      found.set(want, await newest(offers));
    }
  }
  const lacking = wanted.filter((want) => !found.has(want));
  if (lacking.length > 0) throw notFound(lacking, answers);
  const all = wanted.flatMap((want) => found.get(want) ?? []);
  for (const root of new Set(all.map((one) => one.root))) {
    const offers = all.filter((one) => one.root === root).map(({ offer }) => offer);
    await root.download(offers, options.folder);
  }
  const files = await readdir(options.folder);
  return Promise.all(
    all.map(async ({ want, offer, suite }): Promise<FetchedPackage> => {
      const file = fileOf(offer, files);
      const content = await readFile(path.join(options.folder, file));
      const sha256 = createHash('sha256').update(content).digest('hex');
      const { name, version } = offer;
      return { name, version, file, sha256, from: suiteText(suite), notFrom: answers.get(want) ?? [] };
    }),
  );
}

interface Lack {
  readonly lacking: readonly WantedPackage[];
  readonly answers: Answers;
}

/** What all suites of one step offer of what is still lacking. */
async function askSuites(
  step: SourceOrder[number],
  { lacking, answers }: Lack,
  options: SearchOptions,
): Promise<Map<WantedPackage, Found[]>> {
  const archive = step.archive === 'system' ? options.system : { ...options.system, uris: [step.archive] };
  const suitesOf = ({ suite, version }: WantedPackage): readonly string[] =>
    step.suites === 'own' ? [suite] : version === undefined ? [] : step.suites;
  const found = new Map<WantedPackage, Found[]>();
  for (const name of new Set(lacking.flatMap(suitesOf))) {
    const suite = { archive, name, checkValidUntil: step['check-valid-until'] };
    const asked = lacking.filter((want) => suitesOf(want).includes(name));
    const { root, offers, fault } = await offersOf(suite, asked, options);
    for (const want of asked) {
      const ofIt = offers.filter((offer) => offer.name === want.name && offer.kind === want.kind);
      const fitting = ofIt.filter(({ version }) => willDo(version, want));
      if (fitting.length === 0) answers.get(want)?.push(`${suiteText(suite)}: ${fault ?? whatItHas(ofIt)}`);
      else if (root) {
        const candidates = fitting.map((offer) => ({ want, offer, suite, root }));
        found.set(want, [...(found.get(want) ?? []), ...candidates]);
      }
    }
  }
  return found;
}

interface SuiteOffers {
  readonly root?: AptRoot;
  readonly offers: readonly Offer[];
  /** Why nothing can be had from the suite. */
  readonly fault?: string;
}

async function offersOf(suite: AptSuite, asked: readonly WantedPackage[], run: AptRun): Promise<SuiteOffers> {
  try {
    const root = await openAptRoot(suite, run);
    return { root, offers: await root.offers(asked) };
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    return { offers: [], fault: error.message };
  }
}

function willDo(version: string, { version: wanted }: WantedPackage): boolean {
  // Not 10.00 for 10.0, nor a release candidate: 7.3~rc1.
  const upstream = withoutEpoch(version);
  return wanted === undefined || (upstream.startsWith(wanted) && !/^[\d~]/.test(upstream.slice(wanted.length)));
}

export function withoutEpoch(version: string): string {
  return version.replace(/^\d+:/, '');
}

function whatItHas(offers: readonly Offer[]): string {
  return offers.length === 0 ? 'has no such package' : `has ${offers.map(({ version }) => version).join(' and ')} only`;
}

async function newest([first, ...others]: readonly Found[]): Promise<Found> {
  // A key of the map that askSuites returns has at least one value.
  if (first === undefined) throw new Error('nothing was found');
  let best = first;
  for (const other of others) {
    const argv = ['--compare-versions', other.offer.version, 'gt', best.offer.version];
    if (!(await execa('dpkg', argv, { reject: false })).failed) best = other;
  }
  return best;
}

function suiteText({ name, archive }: AptSuite): string {
  return `${name} of ${archive.uris.join(', ')}`;
}

/** apt leaves the epoch out of the name of a .dsc, and writes its colon as %3a in that of a .deb. */
function fileOf({ name, version, kind }: Offer, files: readonly string[]): string {
  const start =
    kind === 'source' ? `${name}_${withoutEpoch(version)}.dsc` : `${name}_${version.replaceAll(':', '%3a')}_`;
  const file = files.find((candidate) => candidate.startsWith(start));
  // A download that leaves something out fails.
  if (file === undefined) throw new Error(`apt delivered no ${start}`);
  return file;
}

function notFound(lacking: readonly WantedPackage[], answers: Answers): RigError {
  const texts = lacking.map((want) => {
    const wanted = `${want.name}${want.version === undefined ? '' : ` ${want.version}`}`;
    const tried = (answers.get(want) ?? []).map((answer) => `\n    ${answer}`).join('');
    return `\n  ${wanted}: these were tried:${tried}`;
  });
  const options = lacking.flatMap(({ instead }) => instead ?? []);
  const tree = options.length === 0 ? '' : `, or give a tree of your own: ${options.join(' DIR, ')} DIR`;
  return new RigError('infrastructure', `No archive has what the rig needs from Debian.${texts.join('')}`, {
    remedy: `Check the network and the proxy; add an archive that has it to rig/sources.yaml${tree}.`,
  });
}

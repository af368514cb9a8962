/**
 * What this machine has to be before anything is fetched or built. `doctor` shows all of it; a build begins with it,
 * and so does the launcher before it fetches npm packages: hence JavaScript, and nothing but Node's own modules.
 */

import { access, constants, readdir, readFile, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { cacheDirectory, REPOSITORY_ROOT } from './places.js';

/**
 * A sentence about this machine, and what to do where it is a fault. A note is something to know, with which the rig
 * works.
 * @typedef {{ readonly verdict: 'good' | 'note' | 'fault', readonly text: string, readonly remedy?: string }} Finding
 *
 * @typedef {object} Host
 * @property {string} architecture as Node calls it
 * @property {string} osRelease the file
 * @property {string} repository folder
 * @property {string} cache folder
 */

/** @returns {Host} */
function thisHost() {
  return {
    architecture: process.arch,
    osRelease: '/etc/os-release',
    repository: REPOSITORY_ROOT,
    cache: cacheDirectory(),
  };
}

/**
 * @param {Partial<Host>} [host]
 * @returns {Promise<Finding[]>}
 */
export async function hostFindings(host) {
  const { architecture, osRelease, repository, cache } = { ...thisHost(), ...host };
  return [
    architectureFinding(architecture),
    await systemFinding(osRelease),
    pathFinding('The repository', repository, 'Move it to a path without them.'),
    pathFinding('The cache', cache, 'Point DGPU_RIG_CACHE at a path without them.'),
    await cacheFinding(cache),
    await spaceFinding(cache),
  ];
}

/**
 * @param {string} architecture
 * @returns {Finding}
 */
function architectureFinding(architecture) {
  if (architecture === 'x64') return { verdict: 'good', text: 'The processor is x86-64.' };
  return {
    verdict: 'fault',
    text: `The processor is ${architecture}, and the rig builds and runs on x86-64 only.`,
    remedy: 'Run the rig on an x86-64 machine.',
  };
}

/** Debian's oldest release that the builds are known to work on. */
const OLDEST_DEBIAN = 12;

/**
 * @param {string} file
 * @returns {Promise<Finding>}
 */
async function systemFinding(file) {
  const text = await readFile(file, 'utf8').catch(() => '');
  const field = (/** @type {string} */ name) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1];
  const name = field('PRETTY_NAME') ?? field('ID') ?? 'of an unknown kind';
  const version = field('VERSION_ID');
  // Testing and unstable have no number.
  const recent = version === undefined || Number.parseInt(version, 10) >= OLDEST_DEBIAN;
  if (field('ID') === 'debian' && recent) return { verdict: 'good', text: `The system is ${name}.` };
  return {
    verdict: 'fault',
    text: `The system is ${name}, and the rig needs Debian ${OLDEST_DEBIAN} or later: it is built with packages of Debian.`,
    // Nobody comes here but who has told the launcher to enter no userland.
    remedy: 'Unset DGPU_RIG_USERLAND: then the rig goes on in a Debian userland (docs/other-systems.md).',
  };
}

/**
 * make splits names at blanks and reads the rest its own way; a colon ends an entry of PATH, a comma an option of QEMU.
 */
const TROUBLE = /[\s:#$%,'"\\]/;

/**
 * @param {string} what
 * @param {string} folder
 * @param {string} remedy
 * @returns {Finding}
 */
function pathFinding(what, folder, remedy) {
  const good = !TROUBLE.test(folder);
  if (good) return { verdict: 'good', text: `${what} is in ${folder}.` };
  const text = `${what} is in "${folder}", and make can't cope with blanks or any of : # $ % , ' " \\ in a path.`;
  return { verdict: 'fault', text, remedy };
}

/**
 * @param {string} cache
 * @returns {Promise<Finding>}
 */
async function cacheFinding(cache) {
  const folder = await existing(cache);
  const why = await unwritable(folder);
  // A full cache is as good on a disk that can't be written.
  if (why === undefined || (await missingStages(cache)).length === 0) {
    return { verdict: 'good', text: 'The cache can be used.' };
  }
  return {
    verdict: 'fault',
    text: `The cache would be ${cache}, and ${folder} ${why}.`,
    remedy: 'Point DGPU_RIG_CACHE at a folder that you can write to.',
  };
}

/** @param {string} folder */
async function unwritable(folder) {
  if (!(await stat(folder)).isDirectory()) return 'is no folder';
  return access(folder, constants.W_OK).then(
    () => undefined,
    (/** @type {unknown} */ error) =>
      error instanceof Error && 'code' in error && error.code === 'EROFS'
        ? 'is on a read-only disk'
        : 'may not be written by this user',
  );
}

/** What is written for a stage that has nothing in the cache, in GiB, rounded up; most of it is the work tree. */
const STAGES = [
  { stage: 'packages', size: 1, tree: undefined },
  { stage: 'qemu', size: 1.5, tree: 'qemu-' },
  { stage: 'kernel', size: 3.5, tree: 'linux-' },
];

/**
 * @param {string} cache
 * @returns {Promise<Finding>}
 */
async function spaceFinding(cache) {
  const folder = await existing(cache);
  const { bavail, bsize } = await statfs(folder);
  const free = (bavail * bsize) / 2 ** 30;
  const missing = await missingStages(cache);
  const needed = missing.reduce((sum, { size }) => sum + size, 0);
  const good = free >= needed;
  const has = `${cache} has ${free.toFixed(1)} GiB free`;
  if (good) return { verdict: 'good', text: `${has}, and needs ${needed} GiB more.` };
  return {
    verdict: 'fault',
    text: `${has}, and a build needs ${needed} GiB there.`,
    remedy: 'Free some space, or point DGPU_RIG_CACHE at a larger disk.',
  };
}

/** @param {string} cache */
async function missingStages(cache) {
  const trees = await namesIn(path.join(cache, 'work'));
  const entries = await Promise.all(STAGES.map(({ stage }) => namesIn(path.join(cache, stage))));
  return STAGES.filter(({ tree }, index) => {
    const hasEntry = entries[index]?.some((name) => !name.startsWith('tmp-'));
    return !hasEntry && !trees.some((name) => tree !== undefined && name.startsWith(tree));
  });
}

/** @param {string} folder */
async function namesIn(folder) {
  return readdir(folder).catch(() => /** @type {string[]} */ ([]));
}

/**
 * The folder itself, or the one in which it would be made.
 * @param {string} folder
 * @returns {Promise<string>}
 */
async function existing(folder) {
  const there = await access(folder).then(
    () => true,
    () => false,
  );
  return there || folder === '/' ? folder : existing(path.dirname(folder));
}

/** For the launcher: the first fault, as every fault is shown. */
if (process.argv[1] === import.meta.filename) {
  const fault = (await hostFindings()).find(({ verdict }) => verdict === 'fault');
  if (fault) {
    process.stderr.write(`dgpu-rig: ${fault.text}\n  ${fault.remedy ?? ''}\n`);
    process.exitCode = 4;
  }
}

/** Whether this machine will do for the rig: one list, which `doctor` shows and every build begins with. */

import { rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

import { isOtherFormat } from '../../cache/cache-entry.ts';
import { hostFindings } from '../../config/host-checks.js';
import type { Finding } from '../../config/host-checks.js';
import { kvmFinding } from '../../config/kvm-device.ts';
import { cacheDirectory } from '../../config/paths.ts';
import { RigError } from '../../util/rig-error.ts';
import type { Emit } from '../../util/rig-event.ts';
import { temporaryFolder } from '../../util/temporary-folder.ts';
import { buildEnvironment } from '../tree/build-environment.ts';
import { systemArchive, updateFault } from './apt-root.ts';
import { hasDebianPackages } from './debian-packages.ts';
import { ensureHostPackages, installCommand, missingHostPackages } from './host-packages.ts';
import { loadPackageSources } from './package-sources.ts';

export type { Finding } from '../../config/host-checks.js';

/** What could not even be asked on another system is left out where that is the fault. */
export async function machineFindings(): Promise<Finding[]> {
  const first = await hostFindings();
  if (first.some(isFault)) return first;
  const missing = await missingHostPackages();
  const fetches = missing.length > 0 || !(await hasDebianPackages());
  return [
    ...first,
    ...(await cacheFindings()),
    ...(fetches ? [await archiveFinding()] : []),
    packagesFinding(missing),
    await kvmFinding(),
  ];
}

/** Refuses a machine that will not do before anything is fetched or built, and installs what it lacks. */
export async function prepareHost(emit: Emit, signal: AbortSignal): Promise<void> {
  const findings = await machineFindings();
  const fault = findings.find(isFault);
  if (fault) {
    const { text, remedy } = fault;
    throw new RigError('infrastructure', text, remedy === undefined ? {} : { remedy });
  }
  for (const { text } of await cacheFindings()) emit({ type: 'notice', text });
  await ensureHostPackages(emit, signal);
}

function isFault({ verdict }: Finding): boolean {
  return verdict === 'fault';
}

async function cacheFindings(): Promise<Finding[]> {
  if (!(await isOtherFormat())) return [];
  const text = `The cache in ${cacheDirectory()} is of another version of the rig: all is built again, and what is old goes in days.`;
  return [{ verdict: 'note', text }];
}

function packagesFinding(missing: readonly string[]): Finding {
  if (missing.length === 0) return { verdict: 'good', text: 'All host packages are installed.' };
  const text = `Packages are missing on this machine: ${missing.join(' ')}.`;
  const command = installCommand(missing);
  if (process.getuid?.() === 0)
    return { verdict: 'note', text, remedy: `A build installs them, as this does: ${command}` };
  return { verdict: 'fault', text, remedy: command };
}

/**
 * By apt, with its proxies and credentials. An archive that answers, and be it that it has no such suite, is enough.
 */
async function archiveFinding(): Promise<Finding> {
  const { order, sources } = await loadPackageSources();
  const system = await systemArchive().catch((error: unknown) => {
    if (error instanceof RigError) return error;
    throw error;
  });
  if (system instanceof RigError) return { verdict: 'fault', text: system.message, ...remedyOf(system) };
  const archives = new Set(order.flatMap(({ archive }) => (archive === 'system' ? system.uris.slice(0, 1) : archive)));
  const faults: string[] = [];
  for (const archive of archives) {
    const fault = await archiveFault(`${archive.replace(/\/$/, '')}/dists/${sources.qemu.suite}/InRelease`);
    if (fault === undefined) return { verdict: 'good', text: `${archive} can be reached.` };
    faults.push(`${archive}: ${fault}`);
  }
  const text = `No archive of Debian can be reached (${faults.join('; ')}).`;
  return { verdict: 'fault', text, remedy: proxyRemedy() };
}

function remedyOf({ remedy }: RigError): { remedy?: string } {
  return remedy === undefined ? {} : { remedy };
}

function proxyRemedy(): string {
  const proxy = process.env['http_proxy'] ?? process.env['https_proxy'];
  return proxy === undefined
    ? 'Check the network; behind a proxy, set http_proxy and https_proxy, or Acquire::http::Proxy in /etc/apt/apt.conf.d.'
    : `Check the network, and the proxy ${proxy} that http_proxy or https_proxy names.`;
}

const APT_HELPER = '/usr/lib/apt/apt-helper';

async function archiveFault(url: string): Promise<string | undefined> {
  const folder = await temporaryFolder('archive');
  const settings = ['Acquire::Retries=0', 'Acquire::http::Timeout=10', 'Acquire::https::Timeout=10'];
  const options = [...settings, 'APT::Sandbox::User=root'].flatMap((setting) => ['-o', setting]);
  const argv = [...options, 'download-file', url, path.join(folder, 'InRelease')];
  const { failed, all } = await execa(APT_HELPER, argv, {
    ...{ env: buildEnvironment(), extendEnv: false, all: true, reject: false },
  });
  await rm(folder, { recursive: true });
  return failed && !/\b40[34] /.test(all) ? updateFault(all.split('\n')) : undefined;
}

/**
 * Templates: a machine that was booted once, saved the moment its SSH server listens. Its clones start from there, each
 * with a copy of its memory. In the cache, by what the machine is made of.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { withBuildLock } from '../../cache/build-lock.ts';
import { contentKey } from '../../cache/content-key.ts';
import { cacheDirectory } from '../../config/paths.ts';
import { inScope } from '../../util/closing-scope.ts';
import { RigError } from '../../util/rig-error.ts';
import { qemuArguments } from '../qemu/command-line.ts';
import { generateSshKey } from '../link/ssh-session.ts';
import { copySparse } from '../vm-folder.ts';
import { hardwareOf } from '../vm-hardware.ts';
import { Vm } from '../vm.ts';
import type { Template, VmSpec } from '../vm-spec.ts';

const STAGE = 'template';
const RECORD = 'template.json';
/** This number is counted up when what is saved, or how, changes. */
const FORMAT = '3';
/** Each holds what its guest had written to its memory, some hundred MB. */
const MOST_TEMPLATES = 24;

const file = z.object({ name: z.string(), size: z.number(), ino: z.number(), ctimeMs: z.number() });

const record = z.union([
  z.object({
    hostKey: z.string(),
    key: z.object({ publicKey: z.string(), privateKey: z.string() }),
    hasSwap: z.boolean(),
    files: z.array(file),
    kernel: z.string().optional(),
  }),
  /** This machine can't be saved; nobody has to find that out again. */
  z.object({ refused: z.string() }),
]);

/**
 * Can this machine be cloned at all? With a command line of its own it would be booted once for a template, and once
 * used; QEMU saves none in which a folder of the host is mounted; and the disk of a userland is no part of a template.
 */
export function isCloneable({ kernelArgs = [], shares = [], userland, countsInstructions = false }: VmSpec): boolean {
  return kernelArgs.length + shares.length === 0 && userland === undefined && !countsInstructions;
}

/** The template for such a machine, made first where there is none; the device's limit is for each clone to set. */
export async function obtainTemplate(spec: VmSpec): Promise<Template> {
  const folder = path.join(cacheDirectory(), STAGE, keyOf(spec));
  const found = await readTemplate(folder);
  if (found) return found;
  return withBuildLock(
    { name: `${STAGE}-${path.basename(folder)}`, signal: spec.signal, onWait: () => undefined },
    async () => (await readTemplate(folder)) ?? makeTemplate(spec, folder),
  );
}

/** Whatever is wrong with it, the next who wants it makes a new one. */
export async function discardTemplate(template: Template): Promise<void> {
  await rm(path.join(template.folder, RECORD), { force: true });
}

/** All templates of a kernel, by its image, that nobody will boot again. */
export async function discardTemplatesOf(kernel: string): Promise<void> {
  const parent = path.join(cacheDirectory(), STAGE);
  for (const name of await readdir(parent).catch(() => [])) {
    const text = await readFile(path.join(parent, name, RECORD), 'utf8').catch(() => '');
    const { data } = record.safeParse(parseJson(text));
    if (data && 'kernel' in data && data.kernel === kernel)
      await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

function keyOf(spec: VmSpec): string {
  const { kernel, qemu, initrd } = spec.software;
  const hardware = hardwareOf(spec, { initrd, swapImage: 'swap.img' });
  const gpu = hardware.gpu && { ...hardware.gpu, dmaBits: 64 };
  const args = qemuArguments({ ...hardware, gpu, channels: { kind: 'terminal' } });
  // These are content-addressed: their paths change with their content.
  return contentKey({ format: FORMAT, args, qemu: qemu.binary, kernel: kernel.image, cache: cacheDirectory() });
}

async function readTemplate(folder: string): Promise<Template | undefined> {
  const text = await readFile(path.join(folder, RECORD), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = record.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  if ('refused' in parsed.data) throw refusal(parsed.data.refused);
  const { files, key, hostKey, hasSwap } = parsed.data;
  for (const known of files) {
    const now = await stat(path.join(folder, known.name)).catch(() => undefined);
    // Nothing can write to a file and leave its ctime: no need to read it all.
    if (now?.size !== known.size || now.ino !== known.ino || now.ctimeMs !== known.ctimeMs) return undefined;
  }
  const now = new Date();
  await utimes(folder, now, now).catch(() => undefined);
  return {
    folder,
    state: path.join(folder, 'state'),
    initrd: path.join(folder, 'initrd'),
    swapImage: hasSwap ? path.join(folder, 'swap.img') : undefined,
    key,
    hostKey,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(why: string): RigError {
  return new RigError('infrastructure', `This machine can't be saved, and so not be cloned: ${why}`);
}

/**
 * Whole or not at all: in a temporary folder, which is renamed. Under the lock of its key any other of that name is a
 * dead rig's.
 */
async function makeTemplate(spec: VmSpec, folder: string): Promise<Template> {
  const parent = path.dirname(folder);
  const prefix = `tmp-${path.basename(folder)}-`;
  await mkdir(parent, { recursive: true });
  await removeOld(parent, prefix);
  await rm(folder, { recursive: true, force: true });
  const temporary = await mkdtemp(path.join(parent, prefix));
  try {
    const made = await bootAndSave(spec, temporary);
    await writeFile(path.join(temporary, RECORD), JSON.stringify(made), { mode: 0o600 });
    await rename(temporary, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  const template = await readTemplate(folder);
  if (!template) throw new RigError('infrastructure', `The template in ${folder} changed as soon as it was made.`);
  return template;
}

/** The machine's logs are beside those of the test that needs it, and stay if it fails. */
async function bootAndSave(spec: VmSpec, folder: string): Promise<z.infer<typeof record>> {
  const key = generateSshKey();
  const vm = await Vm.bootForTemplate({ ...spec, tracesDevice: false, folder: `${spec.folder}-template` }, key);
  return inScope(async (scope) => {
    scope.defer(() => vm.end({ keep: true, verdict: { status: 'failed' } }));
    const refused = await vm.save(path.join(folder, 'state'));
    const hasSwap = spec.profile.swap?.kind === 'disk';
    const own = ['initrd', ...(hasSwap ? ['swap.img'] : [])];
    for (const name of own) await copySparse(vm.folder.file(name), path.join(folder, name));
    await vm.end({ keep: false, verdict: { status: 'passed' } });
    if (refused !== undefined) return { refused };
    return { hostKey: vm.hostKey, key, hasSwap, files: await describe(folder), kernel: spec.software.kernel.image };
  });
}

async function describe(folder: string): Promise<z.infer<typeof file>[]> {
  const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
  return Promise.all(
    names.map(async ({ name }) => {
      const { size, ino, ctimeMs } = await stat(path.join(folder, name));
      return { name, size, ino, ctimeMs };
    }),
  );
}

/** Those used last stay; a clone that is about to start from one that goes is booted instead. */
async function removeOld(parent: string, leftover: string): Promise<void> {
  const all = await readdir(parent);
  for (const name of all.filter((found) => found.startsWith(leftover))) {
    await rm(path.join(parent, name), { recursive: true, force: true });
  }
  const names = all.filter((name) => !name.startsWith('tmp-'));
  const known = await Promise.all(
    names.map(async (name) => {
      // Another rig may remove it at the same time.
      const found = await stat(path.join(parent, name)).catch(() => undefined);
      return { name, usedAt: found?.mtimeMs ?? 0 };
    }),
  );
  const old = known.sort((a, b) => b.usedAt - a.usedAt).slice(MOST_TEMPLATES - 1);
  for (const { name } of old) await rm(path.join(parent, name), { recursive: true, force: true });
}

/**
 * On a system other than Debian the launcher goes on in a Debian userland. The system is a made-up os-release; podman,
 * unshare and debootstrap are stand-ins that say what they were asked. docs/other-systems.md has how to try the rest.
 */
import { existsSync } from 'node:fs';
import { access, chmod, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';
import { test as base } from '../cache/temporary-cache.ts';

const SYSTEMS = {
  fedora: 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43 (Workstation Edition)"\n',
  arch: 'NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n',
  ubuntu: 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n',
  'Debian 11': 'ID=debian\nVERSION_ID="11"\n',
  'no system that is known': undefined,
} as const;

const DEBIAN = { 'Debian 13': 'ID=debian\nVERSION_ID="13"\n', 'Debian sid': 'ID=debian\n' };

/** All that the launcher calls, and no podman. */
const TOOLS =
  'sh env find cksum readlink dirname basename uname id mkdir cat sha256sum cut flock grep tr sort tail rm mv touch'.split(
    ' ',
  );

const { stdout: found } = await execa('sh', ['-c', `for tool in ${TOOLS.join(' ')}; do command -v $tool; done`]);
const WHERE = found.split('\n');

/** Asked for an image that it has not built it says no. */
const PODMAN = [
  'case "$*" in',
  '"image exists"*) test -e "$PLACE/image" ; exit ;;',
  'build*) echo STEP 1; touch "$PLACE/image" ;;',
  'rmi*) rm "$PLACE/image" ;;',
  '*true) exit 0 ;;',
  'run*) env > "$PLACE/environment"; exit 3 ;;',
  'esac',
].join('\n');

/** May be asked for three things: whether it works, a new Debian, and to enter one. */
const UNSHARE = [
  'case "$*" in',
  '*make-folder.sh*) while [ "${1##*.}" != new ]; do shift; done; mkdir "$1" ;;',
  '*enter-folder.sh*) exit 3 ;;',
  'esac',
].join('\n');

/** The rig itself, in which the launcher ends where it goes nowhere else. */
const NODE = 'case $1 in --version) echo v24.0.0 ;; --import) exit 7 ;; esac';

/** Of a call, in what the stand-ins record. */
const END = '--- end';

interface Place {
  /** Starts the launcher in the folder `work`. */
  readonly launch: (args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Launch>;
  readonly put: (programs: Readonly<Record<string, string>>) => Promise<void>;
  readonly be: (osRelease: string | undefined) => Promise<void>;
  readonly folder: (name: string) => string;
  /** What the stand-ins were asked since this was asked last: the arguments of each call. */
  readonly asked: () => Promise<string[][]>;
}

interface Launch {
  readonly exitCode: number | undefined;
  readonly stderr: string;
}

const test = base.extend<{ place: Place }>({
  place: async ({ cache: top }, use) => {
    const folder = (name: string): string => path.join(top, name);
    const log = folder('asked');
    for (const name of ['rig/src', 'rig/node_modules/typescript', 'bin', 'home', 'work']) {
      await mkdir(folder(name), { recursive: true });
    }
    for (const file of ['dgpu-rig', 'package-lock.json', 'src/userland']) {
      await cp(repositoryPath(file), folder(`rig/${file}`), { recursive: true });
    }
    await writeFile(folder('rig/node_modules/.package-lock.json'), '');
    const entry = folder('rig/src/userland/enter.sh');
    const text = await readFile(entry, 'utf8');
    await writeFile(entry, text.replaceAll('/etc/os-release', folder('os-release')));
    for (const [index, tool] of TOOLS.entries()) await symlink(WHERE[index] ?? '', folder(`bin/${tool}`));
    const put: Place['put'] = async (programs) => {
      for (const [name, script] of Object.entries(programs)) {
        await rm(folder(`bin/${name}`), { force: true });
        const record = `printf '%s\\n' ${name} \"$@\" '${END}' >> '${log}'`;
        await writeFile(folder(`bin/${name}`), `#!/bin/sh\n${record}\n${script}\n`);
        await chmod(folder(`bin/${name}`), 0o755);
      }
    };
    await put({ node: NODE });
    await rm(log, { force: true });
    const environment = { PATH: folder('bin'), HOME: folder('home'), DGPU_RIG_CACHE: folder('cache'), PLACE: top };
    await use({
      folder,
      put,
      be: async (osRelease) => {
        await rm(folder('os-release'), { force: true });
        if (osRelease !== undefined) await writeFile(folder('os-release'), osRelease);
      },
      asked: async () => {
        const calls = await readFile(log, 'utf8').catch(() => '');
        await rm(log, { force: true });
        const ended = calls.split(`\n${END}\n`).slice(0, -1);
        return ended.map((call) => call.split('\n'));
      },
      launch: async (args, env = {}) => {
        const options = { cwd: folder('work'), env: { ...environment, ...env }, extendEnv: false, reject: false };
        const { exitCode, stderr } = await execa(folder('rig/dgpu-rig'), args, options);
        return { exitCode, stderr };
      },
    });
  },
});

test.for(Object.entries(DEBIAN))('on %s nothing is entered', async ([, system], { place }) => {
  await place.be(system);
  await place.put({ podman: PODMAN, unshare: UNSHARE });
  expect((await place.launch(['doctor'])).exitCode).toBe(7);
  expect((await place.asked()).map(([program]) => program)).toEqual(['node', 'node']);
});

describe('with podman', () => {
  test.for(Object.entries(SYSTEMS))('on %s the rig runs in an image', async ([, system], { place }) => {
    await place.be(system);
    await place.put({ podman: PODMAN, unshare: UNSHARE });
    const { exitCode, stderr } = await place.launch(['run', '--filter', 'two words', '']);
    expect(stderr).toMatch(/^dgpu-rig: this system is not Debian: making a Debian userland, once .*\n?$/);
    expect(exitCode).toBe(3);
    const calls = await place.asked();
    expect(calls.map((call) => call.slice(0, 2).join(' '))).toEqual([
      'podman image',
      // Under the lock again.
      'podman image',
      'podman build',
      // Whether it can run at all.
      'podman run',
      'podman run',
    ]);
    // Not in a network of its own, which not every rootless podman can make.
    expect(calls[2]?.join(' ')).toContain('--network host');
    const run = calls.at(-1) ?? [];
    const image = run.findIndex((word) => word.startsWith('localhost/dgpu-rig-userland:'));
    expect(run.slice(image + 1)).toEqual([place.folder('rig/dgpu-rig'), 'run', '--filter', 'two words', '']);
    expect(run[image - 1]).toBe(place.folder('work'));
    expect(volumesOf(run)).toEqual([
      `${place.folder('cache')}:${place.folder('cache')}`,
      `${place.folder('home')}:${place.folder('home')}:ro`,
      ...['rig', 'work'].map((name) => `${place.folder(name)}:${place.folder(name)}`),
    ]);
    expect(run.includes('/dev/kvm')).toBe(existsSync('/dev/kvm'));
    expect(run.includes('keep-id')).toBe(process.getuid?.() !== 0);
    // The terminal is none here.
    expect(run).not.toContain('--tty');
  });

  test('what programs keep in the home, they keep in the cache: the home is there to be read', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN });
    await place.launch(['doctor'], { DGPU_RIG_CACHE: '../cache' });
    const environment = (await readFile(place.folder('environment'), 'utf8')).split('\n');
    const cache = place.folder('cache');
    expect(environment).toEqual(
      expect.arrayContaining([
        `DGPU_RIG_CACHE=${cache}`,
        `XDG_CACHE_HOME=${cache}/programs`,
        `npm_config_cache=${cache}/programs/npm`,
        // It enters nothing from there.
        'DGPU_RIG_USERLAND=none',
      ]),
    );
  });

  test('the second start builds nothing, and one with other packages does', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN });
    await place.launch(['doctor']);
    await place.asked();
    expect(await place.launch(['doctor'])).toEqual({ exitCode: 3, stderr: '' });
    const [first, ...more] = await place.asked();
    expect(more).toHaveLength(1);
    await writeFile(place.folder('rig/src/userland/host-packages.txt'), 'gcc\n');
    await place.launch(['doctor']);
    expect((await place.asked())[0]?.at(-1)).not.toBe(first?.at(-1));
  });

  test('the current folder in the repository, and the home as the current folder, come once', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN });
    await place.launch(['doctor'], { HOME: place.folder('work') });
    expect(volumesOf((await place.asked()).at(-1) ?? [])).toEqual(
      ['cache', 'rig', 'work'].map((name) => `${place.folder(name)}:${place.folder(name)}`),
    );
  });

  test('further folders come along where they are named, wherever they are named from', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN });
    for (const name of ['linux', 'work/my results']) await mkdir(place.folder(name), { recursive: true });
    const named = { DGPU_RIG_WRITABLE: '../linux:my results', DGPU_RIG_HISTORY: place.folder('data/history') };
    expect((await place.launch(['doctor'], named)).exitCode).toBe(3);
    const volumes = volumesOf((await place.asked()).at(-1) ?? []);
    for (const name of ['linux', 'work/my results', 'data/history']) {
      expect(volumes).toContain(`${place.folder(name)}:${place.folder(name)}`);
    }
  });

  test('an image that can not be built, or can not run, is none', async ({ place }) => {
    await place.be(SYSTEMS.arch);
    const cases = { build: 'no such registry', run: 'no subuid ranges' };
    const then = 'Error: building at STEP "RUN sh": while running runtime: exit status 100';
    for (const [verb, reason] of Object.entries(cases)) {
      await place.put({
        podman: `case $1 in ${verb}) printf '%s\\n' 'Error: ${reason}' ': exit status 1' '${then}' >&2; exit 125 ;; esac\n${PODMAN}`,
      });
      const { exitCode, stderr } = await place.launch(['doctor']);
      expect(stderr).toContain(`dgpu-rig: The Debian userland could not be made: Error: ${reason}\n`);
      expect(stderr).toMatch(/\n {2}All of it is in .*userland\.log.*DGPU_RIG_USERLAND=folder/);
      expect(exitCode).toBe(4);
      expect(existsSync(place.folder('image'))).toBe(false);
    }
  });

  test('a podman that gets no user namespace: its reason is told once', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    // As podman 4.3 says it, whatever it is asked.
    const says = ['cannot clone: Operation not permitted', 'Error: cannot re-exec process'];
    await place.put({ podman: `printf '%s\\n' '${says.join("' '")}' >&2; exit 125` });
    const { exitCode, stderr } = await place.launch(['doctor']);
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^dgpu-rig: this system is not Debian: making a Debian userland/),
      `dgpu-rig: The Debian userland could not be made: ${says[0] ?? ''}`,
      expect.stringMatching(/^ {2}All of it is in /),
    ]);
    expect(exitCode).toBe(4);
  });
});

describe('without podman', () => {
  test('the rig runs in a folder of the cache, which is made once', async ({ place }) => {
    await place.be(SYSTEMS.arch);
    await place.put({ unshare: UNSHARE, debootstrap: '' });
    expect((await place.launch(['run', 'two words'])).exitCode).toBe(3);
    const [tried, made, entered, ...more] = await place.asked();
    expect(more).toEqual([]);
    expect(tried).toContain('mount');
    const userlands = (await readdir(place.folder('cache/userland'))).filter((name) => name !== 'lock');
    expect(userlands).toHaveLength(1);
    const debian = place.folder(`cache/userland/${userlands[0] ?? ''}`);
    expect(made?.slice(-3)).toEqual([`${debian}.new`, String(process.getuid?.()), String(process.getgid?.())]);
    const script = entered?.findIndex((word) => word.endsWith('enter-folder.sh')) ?? 0;
    const folders = ['cache', 'rig', 'work'].map(place.folder);
    const user = [process.getuid?.(), process.getgid?.()].map(String);
    const rest = [debian, ...folders, ...user, place.folder('work'), place.folder('rig/dgpu-rig'), 'run', 'two words'];
    expect(entered?.slice(script + 1)).toEqual(rest);

    expect((await place.launch(['run'])).exitCode).toBe(3);
    expect(await place.asked()).toHaveLength(2);
  });

  test('and without user namespaces it is told so in one sentence', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ unshare: 'echo "unshare: unshare failed: Operation not permitted" >&2; exit 1' });
    const { exitCode, stderr } = await place.launch(['run']);
    expect(stderr).toMatch(
      /^dgpu-rig: This system is not Debian; .* podman or user namespaces.*not permitted\n {2}Install podman, .*$/,
    );
    expect(exitCode).toBe(4);
  });

  test('a Debian that could not be made is none', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    const broken = 'case "$*" in *make-folder*) echo "E: Failed getting release file" >&2; exit 1 ;; esac';
    await place.put({ unshare: `${broken}\n${UNSHARE}`, debootstrap: '' });
    const { exitCode, stderr } = await place.launch(['run']);
    expect(stderr).toContain('dgpu-rig: The Debian userland could not be made: E: Failed getting release file\n');
    expect(exitCode).toBe(4);
    expect(await readdir(place.folder('cache/userland'))).toEqual(['lock']);
  });

  test.skipIf(existsSync('/usr/sbin/debootstrap'))(
    'nor debootstrap: it is told so in one sentence',
    async ({ place }) => {
      await place.be(SYSTEMS.fedora);
      await place.put({ unshare: UNSHARE });
      const { exitCode, stderr } = await place.launch(['run']);
      expect(stderr).toMatch(
        /^dgpu-rig: This system is not Debian; .* podman or debootstrap, and there is no debootstrap\.\n {2}Install podman, or .*$/,
      );
      expect(exitCode).toBe(4);
      // Once it is made, nothing needs debootstrap.
      await place.put({ debootstrap: '' });
      expect((await place.launch(['run'])).exitCode).toBe(3);
      await rm(place.folder('bin/debootstrap'));
      expect(await place.launch(['run'])).toEqual({ exitCode: 3, stderr: '' });
    },
  );
});

describe('wherever', () => {
  test('a cache that can not be written is told', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN });
    await writeFile(place.folder('file'), '');
    const { exitCode, stderr } = await place.launch(['run'], { DGPU_RIG_CACHE: place.folder('file/cache') });
    expect(stderr).toMatch(/^dgpu-rig: The cache would be .*file\/cache, .*\n {2}Point DGPU_RIG_CACHE at/);
    expect(exitCode).toBe(4);
  });

  test('a folder that is not there is told', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN, unshare: UNSHARE, debootstrap: '' });
    const { exitCode, stderr } = await place.launch(['run'], { DGPU_RIG_WRITABLE: `${place.folder('work')}:/no such` });
    expect(stderr).toBe(
      'dgpu-rig: DGPU_RIG_WRITABLE names "/no such", and there is no such folder.\n  Make it, or leave it out.',
    );
    expect(exitCode).toBe(4);
    expect(await place.asked()).toEqual([]);
  });

  test('another processor is told, and nothing is made', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN, uname: 'echo aarch64' });
    const { exitCode, stderr } = await place.launch(['run']);
    expect(stderr).toMatch(/^dgpu-rig: The processor is aarch64, .*x86-64 only\.\n {2}Run the rig on/);
    expect(exitCode).toBe(4);
    expect((await place.asked()).map(([program]) => program)).not.toContain('podman');
  });

  test('Tab makes no userland', async ({ place }) => {
    await place.be(SYSTEMS.fedora);
    await place.put({ podman: PODMAN });
    expect(await place.launch(['complete', '--', ''])).toEqual({ exitCode: 4, stderr: '' });
    await expect(access(place.folder('image'))).rejects.toThrow();
  });

  test('DGPU_RIG_USERLAND decides', async ({ place }) => {
    await place.be(DEBIAN['Debian 13']);
    await place.put({ podman: PODMAN, unshare: UNSHARE, debootstrap: '' });
    const programs = async (way: string): Promise<Set<string | undefined>> => {
      await place.launch(['run'], { DGPU_RIG_USERLAND: way });
      return new Set((await place.asked()).map(([program]) => program));
    };
    expect(await programs('podman')).toEqual(new Set(['podman']));
    expect(await programs('folder')).toEqual(new Set(['unshare']));
    await place.be(SYSTEMS.fedora);
    expect(await programs('none')).toEqual(new Set(['node']));
    const { exitCode, stderr } = await place.launch(['run'], { DGPU_RIG_USERLAND: 'docker' });
    expect(stderr).toMatch(/^dgpu-rig: DGPU_RIG_USERLAND is "docker", .*\n {2}/);
    expect(exitCode).toBe(4);
  });
});

function volumesOf(run: readonly string[]): string[] {
  return run.filter((_, index) => run[index - 1] === '--volume').sort();
}

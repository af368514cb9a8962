/** The command line as a person meets it: a real process, and only what ends before anything is built. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';

/** Two recorded runs, for completion; they are never read. */
const HISTORY = mkdtempSync(path.join(tmpdir(), 'dgpu-rig-test-'));
for (const run of ['3', '12']) writeFileSync(path.join(HISTORY, `${run}.json`), '');
afterAll(() => rmSync(HISTORY, { recursive: true }));

async function rig(...args: string[]): Promise<{ exitCode: number | undefined; stderr: string; stdout: string }> {
  const { exitCode, stderr, stdout } = await execa(repositoryPath('dgpu-rig'), args, {
    reject: false,
    env: { DGPU_RIG_HISTORY: args[0] === 'complete' ? HISTORY : '/nonexistent/history' },
  });
  return { exitCode, stderr, stdout };
}

describe('user mistakes', { concurrent: true }, () => {
  test.for([
    [['run', 'nosuch'], 'The suites are: '],
    [['run', 'smok'], 'Did you mean smoke?'],
    [['run', '--machine', 'tigt'], 'Did you mean tight'],
    [['run', '--filter', ''], 'empty'],
    [['list', 'machins'], 'machines'],
    [['run', '--machine', 'nosuch'], 'tiers'],
    [['run', '--dma-bits', '31'], 'whole numbers from 32 to 52'],
    [['run', '--dma-bits', '40,53'], 'whole numbers from 32 to 52'],
    [['run', '--dma-bits', '40.5'], 'whole numbers from 32 to 52'],
    [['run', '--dma-bits', ''], 'whole numbers from 32 to 52'],
    [['run', '--backend', 'nosuch'], 'shmem, backup, legacy'],
    [['run', '--accel', 'nosuch'], 'auto, kvm, tcg'],
    [['run', '--max-vms', '0'], 'positive'],
    [['run', '--filter', '('], 'regular expression'],
    [['run', '--json', '/nosuch/folder/r.json'], '/nosuch/folder'],
    [['run', '--nosuch'], './dgpu-rig run --help'],
    [['run', '--dma-bit', '40'], '--dma-bits'],
    [['kernel', 'edit', 'a', 'b'], './dgpu-rig kernel edit --help'],
    [['kernel', 'nosuch'], './dgpu-rig kernel --help'],
    [['watch', '--json', 'f'], './dgpu-rig watch --help'],
    [['run', '--html', '/tmp'], '/tmp/report.html'],
    [['run', '--json', ''], 'no name of a file'],
    [['coverage', 'smok'], 'Did you mean smoke?'],
    [['coverage', '--show-patch', '999'], 'The series has no patch 999.'],
    [['coverage', '--lcov', '/nosuch/folder/c.info'], '/nosuch/folder'],
    [['coverage', '--kernel-src', '/nosuch'], 'no folder /nosuch'],
    [['coverage', '--flavour', 'kasan'], './dgpu-rig coverage --help'],
    [['mutate', 'smok'], 'Did you mean smoke?'],
    [['mutate', '--count', '0'], 'positive'],
    [['mutate', '--coverage', '/nosuch/c.json'], 'no file that "coverage --json" wrote'],
    [['mutate', '--json', '/nosuch/folder/m.json'], '/nosuch/folder'],
    [['mutate', '--patch', '/nosuch.patch'], 'no such file'],
    [['mutate', '--unpatched'], './dgpu-rig mutate --help'],
    [['bench', 'nosuch'], 'The benches are: '],
    [['bench', '--rounds', '0'], 'positive'],
    [['nosuch'], './dgpu-rig --help'],
    [['shell'], 'modprobe edgpu && edgpu-stress info'],
    [['shell', '--put', 'file'], 'FROM:TO'],
    [['shell', '--put', '/nosuch/file:/tmp', '--', 'true'], 'no such file'],
    [['run', '--unpatched'], 'these suites need it: smoke.'],
    [['run', 'dma', 'swap', '--unpatched'], 'bochs, igt, kunit, qxl, selftests'],
    [['run', '--exec', ''], '--exec is empty'],
    [['run', '--exec', 'true', '--put', '/nosuch/file:/tmp'], 'no such file'],
    [['run', '--exec', 'true', '--put', 'package.json:tmp'], '--put package.json:/tmp/'],
    [['run', '--exec', 'true', '--put', 'package.json'], 'FROM:TO'],
    [['run', '--exec', 'true', '--exec', 'true'], 'given twice'],
    [['run', '--exec', 'true', '--timeout', 'soon'], '30 min'],
    [['run', '--exec', 'true', '--plan', 'ci'], 'The plan ci says what to run'],
    [['run', '--put', 'package.json:/tmp/'], '--exec'],
    [['run', '--share', 'src'], '--share is for the programs of --exec'],
    [['run', '--exec', 'true', '--share', ''], 'DIR:/where'],
    [
      ['run', '--exec', 'true', '--share', '/nosuch'],
      "/nosuch can't be shared with the guest: there is no such folder.",
    ],
    [['shell', '--share', 'package.json', '--', 'true'], 'package.json:/tmp/'],
    [['shell', '--share', 'src:mnt', '--', 'true'], '/src:/mnt/mine'],
    [['shell', '--share', 'src', '--vm', '--', 'true'], '--share is for a new VM'],
    [['run', '--install', 'jq'], '--install is for the programs of --exec'],
    [['run', '--exec', 'true', '--rootfs', 'fedora'], 'Allowed choices are debian'],
    [['run', '--exec', 'true', '--install', 'jq=1.7'], 'stress-ng,python3'],
    [['shell', '--install', '', '--', 'true'], 'stress-ng,python3'],
    [['shell', '--install', 'jq', '--put', 'README.md:/usr/local/bin/', '--', 'true'], 'is read-only'],
    [['shell', '--rootfs', 'debian', '--vm', '--', 'true'], '--rootfs is for a new VM'],
    [['gdb', '--share', 'a,b'], "a,b can't be shared"],
    [['console', '--share', 'src', '--vm'], '--share is for a new VM'],
    [['run', 'kselftest'], '--target says which'],
    [['run', '--target', 'mm'], '--target is for kselftest'],
    [['run', 'kselftest', '--target', 'mm;reboot'], 'tools/testing/selftests'],
    [['run', 'exec'], 'There is no suite named exec.'],
    [['run', './nosuch.suite.ts'], 'nosuch.suite.ts'],
    [['run', './package.json'], '.suite.ts'],
    [['console'], 'terminal'],
    [['shell', '--vm', 'nosuch'], 'called nosuch'],
    [['console', '--vm', 'nosuch'], 'called nosuch'],
    [['repro', '999999999'], 'No run has been recorded yet.'],
    [['report'], 'No run has been recorded yet.'],
    [['report', '5'], 'No run has been recorded yet.'],
    [['completion', 'csh'], 'bash'],
    [['test', 'nosuch'], 'unit, device, vm, reliability, slurm, kvm, suites'],
    [['run', '--shard', '3/2'], '2/5'],
    [['run', '--shards', '2'], '--shard 1/3'],
    [['run', 'smoke', 'swap', '--cycles', '3'], 'only suspend and hibernate have random cycles'],
    [['run', '--kernel-src', '/nosuch'], 'no folder /nosuch'],
    [['run', '--machine', './nosuch.yaml'], 'nosuch.yaml'],
    [['run', '--machine', 'docs/dgpu-rig.schema.json/x.yaml'], './dgpu-rig list machines'],
    [['run', '--kconfig', 'CONFIG_SW_SYNC=maybe'], '=123'],
    [['run', '--kconfig', 'SW_SYNC=y'], '--kconfig CONFIG_SW_SYNC=y'],
    [['build', '--kconfig', '/nosuch/my.config'], 'no file /nosuch/my.config'],
    [['run', '--patch', '/nosuch.patch'], 'no such file'],
    [['run', '--patch', 'package.json'], 'git format-patch'],
    [['shell', '--append', '', '--', 'true'], 'empty'],
    [['run', '--append', 'x'.repeat(1501)], '1500'],
    [['run', '--qemu-src', '/'], 'is not the top folder of a QEMU source tree'],
    [['run', '--engine', 'slurm', '--shard', '1/2'], '--shards'],
    [['report', 'a', 'b'], '--merge'],
    [['report', '--trend', '/nosuch/folder/t.html'], '/nosuch/folder'],
    [['report', '--trend', '/tmp'], '/tmp/report.trend'],
    [['run', '--kcidb', '/nosuch/folder/k.json'], '/nosuch/folder'],
    [['clean', '--above', '5G'], '5 GiB'],
    [['clean', '--older', 'soon'], '30 min'],
    [['report', '--merge'], 'shard-*.json'],
    [['bisect', '--good', 'a'], '--bad'],
    [['bisect', '--good', 'a', '--bad', 'b', '--filter', '('], 'regular expression'],
    [['bisect', '--good', 'a', '--bad', 'b', '--flavour', 'nosuch'], 'lockdep'],
    [['bisect', '--good', 'a', '--bad', 'b', '--rate', '0.4'], '3/20'],
    [['bisect', '--good', 'a', '--bad', 'b', '--rate', '0/9'], '--repeat'],
    [['bisect', '--good', 'a', '--bad', 'b', '--kernel-src', '/nosuch'], '--kernel-src'],
    [[], 'Usage'],
  ] as const)('%o is told what is valid', { timeout: 60_000 }, async ([args, valid]) => {
    const { exitCode, stdout, stderr } = await rig(...args);
    expect(stderr).toContain(valid);
    // It is told before anything is fetched, built or booted.
    expect(stdout).not.toContain('Host packages');
    expect(stderr).not.toMatch(/^ +at /m);
    expect(exitCode).toBe(2);
  });
});

test('help is no mistake', async () => {
  const { exitCode, stdout } = await rig('run', '--help');
  expect(exitCode).toBe(0);
  expect(stdout).toContain('--kernel-src');
});

test('says which version it is, and which commit', async () => {
  const { exitCode, stdout } = await rig('--version');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^dgpu-rig \d+\.\d+\.\d+( at [0-9a-f]{40}\+?)?$/);
});

describe('list', { concurrent: true }, () => {
  test('has all that other verbs take by its name', { timeout: 60_000 }, async () => {
    const { exitCode, stdout } = await rig('list');
    expect(exitCode).toBe(0);
    const names = stdout.split('\n').map((line) => line.trim().split(' ')[0]);
    expect(names).toEqual(
      expect.arrayContaining(['smoke', 'kselftest', 'nightly', 'tiers', 'kasan', 'sleeper', 'crowd']),
    );
  });

  test('of the tests of a suite is what --filter takes', { timeout: 60_000 }, async () => {
    const { stdout } = await rig('list', 'tests', 'src/suites/bochs.suite.ts', '--filter', 'bochs › the driver');
    expect(stdout).toBe('bochs › bochs › the driver can be taken away while it shows something');
  });

  test('nothing is built for it, whatever a suite asks of the kernel', { timeout: 60_000 }, async () => {
    const { exitCode, stdout } = await rig('list', 'tests', 'igt', '--filter', 'on edgpu');
    expect(stdout).toBe('igt › on edgpu › each part does what it is known to do');
    expect(exitCode).toBe(0);
  });

  test('of a suite that can not be loaded is no empty list', { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'dgpu-rig-test-'));
    writeFileSync(path.join(folder, 'broken.suite.ts'), "throw new Error('no such luck');\n");
    const { exitCode, stdout, stderr } = await rig('list', 'tests', path.join(folder, 'broken.suite.ts'));
    rmSync(folder, { recursive: true });
    expect(stdout).toBe('');
    expect(stderr).toContain("The suite broken can't be loaded: no such luck");
    expect(exitCode).toBe(2);
  });
});

describe('completion', { concurrent: true }, () => {
  test.for([
    [['run', 'smo'], 'smoke'],
    [['run', 'kse'], 'kselftest'],
    [['run', '--machine', 'tie'], 'tiers'],
    [['run', '--flavour', 'loc'], 'lockdep'],
    [['run', '--plan', 'nig'], 'nightly'],
    [['bench', 'de'], 'device'],
    [['test', 'rel'], 'reliability'],
    [['kernel', 're'], 'refresh'],
    [['gd'], 'gdb'],
    [['list', 'fl'], 'flavours'],
    [['repro', ''], '12'],
    [['repro', '--rep'], '--repeat'],
    [['run', '--exe'], '--exec'],
  ] as const)('of %o', { timeout: 60_000 }, async ([words, wanted]) => {
    const { stdout } = await rig('complete', '--', ...words);
    expect(stdout.split('\n').map((line) => line.split('\t')[0])).toContain(wanted);
  });

  test('of the value of an option that is a file is left to the shell', { timeout: 60_000 }, async () => {
    const asked = await Promise.all([
      rig('complete', '--', 'run', '--json', '/tm'),
      rig('complete', '--', 'run', '--put', '/tm'),
      rig('complete', '--', 'report', '--trend', '/tm'),
      rig('complete', '--', 'run', '--machine', './m'),
      rig('complete', '--', 'run', '--kconfig', './m'),
      rig('complete', '--', 'build', '--patch', './m'),
      rig('complete', '--', 'shell', '--get', '/tm'),
      rig('complete', '--', 'run', 'smo'),
    ]);
    expect(asked.map(({ stdout }) => stdout.split('\n').at(-1))).toEqual([
      ':0',
      ':0',
      ':0',
      ':0',
      ':0',
      ':0',
      ':0',
      ':4',
    ]);
  });

  test('bash may read it twice, and completes files where it is to', { timeout: 60_000 }, async () => {
    const { stdout: code } = await rig('completion', 'bash');
    const { stdout, stderr } = await execa('bash', ['-c', `${code}\n${code}\ncomplete -p dgpu-rig`]);
    expect(stderr).toBe('');
    expect(stdout).toBe('complete -o default -F __dgpu_rig_complete dgpu-rig');
  });

  test('bash asks this very rig, wherever it is called from', { timeout: 60_000 }, async () => {
    const { stdout: code } = await rig('completion', 'bash');
    // Debian's bash-completion has this function.
    const words = '_get_comp_words_by_ref() { cur=smo; words=(dgpu-rig run smo); cword=2; }';
    const { stdout } = await execa('bash', [
      '-c',
      `${words}\n${code}\n__dgpu_rig_complete\nprintf '%s ' "\${COMPREPLY[@]}"`,
    ]);
    expect(stdout.trim()).toBe('smoke');
  });
});

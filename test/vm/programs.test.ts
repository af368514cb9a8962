/** A person's own programs, from the command line to the verdict: as tests, again by `repro`, and by `shell`. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { RunReport } from '../../src/report/run-report.ts';
import { EFFORT, reportOf, rig } from './rig-command.ts';
import { temporaryFolder } from './test-vm.ts';

const MACHINE = ['--machine', 'noswap', '--max-vms', '2'] as const;
const WARN = 'modprobe lkdtm && echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT';

/** It reports by KTAP, on standard output alone. */
const SCRIPT = `#!/bin/sh
echo "KTAP version 1
1..3
ok 1 one
# expected $1
not ok 2 two
ok 3 three # SKIP no device"
echo "not ok 4 of standard error" >&2
exit 1
`;

/** A suite that lies elsewhere, with the testbed's public face. */
const SUITE = `import { dmaComplaints, expect, test } from 'dgpu-rig';
import { taints } from 'dgpu-rig/testbed/guest/kernel-health.ts';

test('is run', ({ machine }) => expect([typeof dmaComplaints, taints(0), machine]).toEqual(['function', [], 'tiers']));
`;

function verdicts({ results }: RunReport): string[] {
  return results.map(({ test: name, status, failure = '' }) => `${status} ${failure} ${name}`.replace('  ', ' '));
}

test('each is a test, each of its cases too; a suite from elsewhere is run with them', async () => {
  const folder = await temporaryFolder();
  const [history, json, script, suite] = ['history', 'r.json', 'my-test', 'mine.suite.ts'].map((name) =>
    path.join(folder, name),
  ) as [string, string, string, string];
  await writeFile(script, SCRIPT, { mode: 0o755 });
  await writeFile(suite, SUITE);
  const programs = ['/tmp/my-test 7', 'echo hello', WARN, 'nosuch'].flatMap((command) => ['--exec', command]);
  const files = ['--put', `${script}:/tmp`];
  const { exitCode, said } = await rig(history, 'run', suite, ...MACHINE, ...programs, ...files, '--json', json);

  const report = await reportOf(json);
  expect(verdicts(report), said).toEqual(
    expect.arrayContaining([
      'fail test /tmp/my-test 7',
      'pass /tmp/my-test 7 > one',
      'fail test /tmp/my-test 7 > two',
      'skip /tmp/my-test 7 > three',
      'pass echo hello',
      `fail kernel ${WARN}`,
      'error usage nosuch',
      'fail test is run',
    ]),
  );
  expect(report.results).toHaveLength(8);
  expect(exitCode).toBe(3);
  const hello = report.results.find(({ test: name }) => name === 'echo hello');
  expect(await readFile(path.join(hello?.artifacts ?? '', 'output.txt'), 'utf8')).toBe('hello\n');

  const numberOf = (text: string): string =>
    `1.${String(report.results.findIndex(({ test: name }) => name.includes(text)) + 1)}`;
  const elsewhere = await rig(history, 'repro', numberOf('is run'), '--json', json);
  expect(verdicts(await reportOf(json)), elsewhere.said).toEqual(['fail test is run']);

  const again = await rig(history, 'repro', numberOf('> two'), '--keep', '--json', json);
  expect(verdicts(await reportOf(json)), again.said).toEqual([
    'fail test /tmp/my-test 7',
    'pass /tmp/my-test 7 > one',
    'fail test /tmp/my-test 7 > two',
    'skip /tmp/my-test 7 > three',
  ]);
  expect(again.said).toContain('expected 7');
  expect(again.exitCode).toBe(1);
});

test('a folder of the host is there, read-only; with a Debian userland dynamic programs run', async () => {
  const folder = await temporaryFolder();
  const [history, json] = [path.join(folder, 'history'), path.join(folder, 'r.json')];
  await writeFile(path.join(folder, 'seen.json'), '{ "seen": [1, 2] }');
  // Only the userland has a bash for it.
  await writeFile(path.join(folder, 'my-script'), '#!/usr/bin/env bash\necho "put to ${0%/*}"\n', { mode: 0o755 });
  const command =
    '/opt/mine/my-script && jq .seen[1] /mnt/host/seen.json && ! touch /mnt/host/x /usr/x && modprobe edgpu && edgpu-stress info >&2 && bash --version';
  const put = ['--put', `${path.join(folder, 'my-script')}:/opt/mine/`];
  const options = ['--share', `${folder}:/mnt/host`, '--install', 'jq', ...put, '--exec', command, '--json', json];
  const { exitCode, said } = await rig(history, 'run', ...MACHINE, ...options);
  expect(said).toContain('is booted, not cloned: QEMU can save no machine that has a folder of the host');
  expect(said.indexOf('A folder of --share does not outlive a suspend')).toBeLessThan(said.indexOf('is booted'));
  expect(said).toContain('A folder of --share does not outlive a suspend');
  const report = await reportOf(json);
  expect(verdicts(report), said).toEqual([`pass ${command}`]);
  expect(await readFile(path.join(report.results[0]?.artifacts ?? '', 'output.txt'), 'utf8')).toMatch(
    /^put to \/opt\/mine\n2\n[^]*Read-only file system\n[^]*GNU bash/,
  );
  expect(existsSync(path.join(folder, 'x'))).toBe(false);
  expect(exitCode).toBe(0);
});

test.skipIf(EFFORT === 1)('a guest that has a folder of the host suspends; the folder is lost', async () => {
  const folder = await temporaryFolder();
  const json = path.join(folder, 'r.json');
  await writeFile(path.join(folder, 'file'), 'content\n');
  const sleep = 'echo +3 > /sys/class/rtc/rtc0/wakealarm && echo mem > /sys/power/state';
  const commands = [sleep, `umount /mnt/host && ${sleep}`, `${sleep} && cat /mnt/host/file`];
  const programs = commands.flatMap((command) => ['--exec', command]);
  const options = ['--share', `${folder}:/mnt/host`, '--timeout', '5 s', ...programs, '--json', json];
  const { said } = await rig(path.join(folder, 'history'), 'run', ...MACHINE, ...options);
  const [alone, unmounted, read] = commands;
  expect(verdicts(await reportOf(json)).sort(), said).toEqual(
    [`pass ${alone}`, `pass ${unmounted}`, `error timeout ${read}`].sort(),
  );
});

test.skipIf(EFFORT === 1)('self-tests of several targets of the kernel tree, each a program', async () => {
  const folder = await temporaryFolder();
  const json = path.join(folder, 'r.json');
  // The second one has a program for which the host would need libcap-dev.
  const options = ['--target', 'mm,dmabuf-heaps', '--filter', 'dmabuf-heap|ksft_mlock', '--json', json];
  const { exitCode, said } = await rig(path.join(folder, 'history'), 'run', 'kselftest', ...MACHINE, ...options);
  const found = verdicts(await reportOf(json));
  expect(found, said).toEqual(
    expect.arrayContaining([
      'pass /tmp/kselftest/run-one dmabuf-heaps:dmabuf-heap',
      'pass /tmp/kselftest/run-one mm:ksft_mlock.sh',
    ]),
  );
  expect(found.filter((line) => line.includes('> '))).not.toEqual([]);
  expect(exitCode, said).toBe(0);
});

test('a command of "shell" that ends well does not hide what the kernel reported, and its log is kept', async () => {
  const { exitCode, said } = await rig('/nonexistent/history', 'shell', '--machine', 'noswap', '--', WARN);
  expect(said).toContain("dgpu-rig: The guest's kernel reported: WARNING");
  const [, artifacts = ''] = /^Artifacts: (\/.*)$/m.exec(said) ?? [];
  expect(existsSync(path.join(artifacts, 'shell/serial.log')), said).toBe(true);
  expect(exitCode).toBe(3);
});

/** Every file of kernel-reports/ is a console text, and says in its first lines what must be found in it: nothing, for a near-miss. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findKernelReports, KernelReportScanner } from '../../../src/vm/kernel-report.ts';

const FOLDER = path.join(import.meta.dirname, 'kernel-reports');
const HEADER = /^# report: (\S+) (fatal|alive) \| (.*)$/;

interface Fixture {
  readonly name: string;
  readonly log: string;
  readonly expected: readonly string[];
}

function readFixture(name: string): Fixture {
  const lines = readFileSync(path.join(FOLDER, name), 'utf8').split('\n');
  const headers = lines.filter((line) => line.startsWith('# '));
  const log = lines.filter((line) => !line.startsWith('# ')).join('\n');
  const expected = headers.flatMap((line) => {
    const [, kind, fate, title] = HEADER.exec(line) ?? [];
    return kind === undefined ? [] : [`${kind} ${String(fate)} | ${String(title)}`];
  });
  return { name, log, expected };
}

const fixtures = readdirSync(FOLDER).sort().map(readFixture);

function found(log: string): string[] {
  return findKernelReports(log).map(({ kind, fatal, title }) => `${kind} ${fatal ? 'fatal' : 'alive'} | ${title}`);
}

const withoutFate = (report: string): string => report.replace(/ (fatal|alive) /, ' ');

describe.for(fixtures)('$name', ({ name, log, expected }) => {
  test('says what it is', () => {
    expect(found(log)).toEqual(expected);
    expect(expected.length === 0, 'near-misses, and only they, are named so').toBe(name.startsWith('silent-'));
  });

  test('with the carriage returns of a serial line', () => {
    expect(found(log.replaceAll('\n', '\r\n'))).toEqual(expected);
    expect(found(log.replaceAll('\n', '\r\r\n'))).toEqual(expected);
  });

  test('cut off at any byte, it says no more and nothing else', () => {
    const all = expected.map(withoutFate);
    for (let end = 0; end <= log.length; end++) {
      const partial = found(log.slice(0, end)).map(withoutFate);
      expect(all.slice(0, partial.length)).toEqual(partial);
    }
  });

  test('a program that writes without a newline hides nothing', () => {
    expect(found(log.replace(/^\[/m, 'waiting...['))).toEqual(expected);
  });
});

test('text of programs alone is never a report', () => {
  const words = fc.constantFrom(
    'BUG: ',
    'WARNING: ',
    'Kernel panic - not syncing: ',
    'Oops: 0000 [#1]',
    'KASAN',
    '\n',
    ' at ',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 20 }), (parts) => {
      const text = parts.join('').replaceAll(/\[ *\d+\.\d{6}\]/g, '');
      expect(findKernelReports(`${text}\n`)).toEqual([]);
    }),
  );
});

test('a report made fatal by its panic is handed out again, so that someone can act on it', () => {
  const scanner = new KernelReportScanner();
  const oops = scanner.push('[    1.000000] Oops: Oops: 0002 [#1] SMP NOPTI');
  expect(oops?.fatal).toBe(false);
  const panic = scanner.push('[    1.100000] Kernel panic - not syncing: Fatal exception');
  expect(panic).toMatchObject({ kind: 'oops', fatal: true });
});

test('the lines of a report end with its trace', () => {
  const log = [
    'WARNING: mm/x.c:1 at f+0x1/0x2, CPU#0: a/1',
    'Call Trace:',
    '---[ end trace 0000000000000000 ]---',
    'later',
  ];
  const [report] = findKernelReports(log.map((line) => `[    1.000000] ${line}\n`).join(''));
  expect(report?.lines).toEqual(log.slice(0, 3));
});

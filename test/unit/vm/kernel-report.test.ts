/**
 * Every file of kernel-reports/ is a console text, and says in its first lines what must be found in it: nothing, for a
 * near-miss.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distinctReports } from '../../../src/vm/kernel-log/distinct-reports.ts';
import { KernelReportScanner, type KernelReport } from '../../../src/vm/kernel-log/kernel-report.ts';
import { findKernelReports } from './find-kernel-reports.ts';

const FOLDER = path.join(import.meta.dirname, 'kernel-reports');
const HEADER = /^# report: (\S+) (fatal|alive) \| (.*)$/;

interface Fixture {
  readonly name: string;
  readonly log: string;
  readonly expected: readonly string[];
  /** Of the distinct ones among them, where they say so. */
  readonly where: readonly string[];
  readonly origin: string;
}

function readFixture(name: string): Fixture {
  const lines = readFileSync(path.join(FOLDER, name), 'utf8').split('\n');
  const headers = lines.filter((line) => line.startsWith('# '));
  const log = lines.filter((line) => !line.startsWith('# ')).join('\n');
  const expected = headers.flatMap((line) => {
    const [, kind, fate, title] = HEADER.exec(line) ?? [];
    return kind === undefined ? [] : [`${kind} ${String(fate)} | ${String(title)}`];
  });
  const values = (key: string): string[] =>
    headers.flatMap((line) => (line.startsWith(`# ${key}: `) ? [line.slice(key.length + 4)] : []));
  return { name, log, expected, where: values('where'), origin: values('origin').join() };
}

const fixtures = readdirSync(FOLDER).sort().map(readFixture);

function describeReport({ kind, fatal, title }: KernelReport): string {
  return `${kind} ${fatal ? 'fatal' : 'alive'} | ${title}`;
}

function found(log: string): string[] {
  return findKernelReports(log).map(describeReport);
}

const withoutFate = (report: string): string => report.replace(/ (fatal|alive) /, ' ');

describe.for(fixtures)('$name', ({ name, log, expected, where, origin }) => {
  test('says what it is', () => {
    expect(found(log)).toEqual(expected);
    expect(expected.length === 0, 'near-misses, and only they, are named so').toBe(name.startsWith('silent-'));
  });

  test('says where it is', () => {
    const found = distinctReports(findKernelReports(log));
    expect(found.flatMap((report) => report.where ?? [])).toEqual(where);
    expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(expected.length);
  });

  test('says where its text is from', () => {
    expect(origin).toMatch(/^(provoked in a 7\.3\.4 guest|written after \S)/);
  });

  test('with the carriage returns of a serial line', () => {
    expect(found(log.replaceAll('\n', '\r\n'))).toEqual(expected);
    expect(found(log.replaceAll('\n', '\r\r\n'))).toEqual(expected);
  });

  test('cut off anywhere, it says no more and nothing else', () => {
    const all = expected.map(withoutFate);
    const scanner = new KernelReportScanner();
    // Only complete lines are looked at: to cut at any byte is to cut at a line.
    for (const line of log.split('\n')) {
      scanner.push(line);
      const partial = scanner.reports.map(describeReport).map(withoutFate);
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

describe('reports of several CPUs at the same time', () => {
  // The death of init is the end of whatever was going on, if anything was; so is a
  // machine check of what the hardware said.
  const standAlone = fixtures.filter(
    ({ name }) => !/^(silent-|panic-init-killed|panic-machine-check-alone)/.test(name),
  );
  const texts = standAlone.map(({ log }) => log.split('\n'));
  const asCaller = (line: string, caller: string): string =>
    line.replace(/^(<\d+>)?\[ *(\d+\.\d+)\](\[ *[CT]\d+\])? /, `$1[$2][${caller.padStart(5)}] `);
  const kindsOf = (lines: readonly string[]): string[] =>
    findKernelReports(`${lines.join('\n')}\n`).map(({ kind }) => kind);

  /** Two logs shuffled into each other, each in its own order. */
  const interleaved = fc
    .tuple(fc.constantFrom(...texts), fc.constantFrom(...texts), fc.infiniteStream(fc.boolean()))
    .map(([left, right, coin]) => {
      const [a, b] = [left.map((line) => asCaller(line, 'T1')), right.map((line) => asCaller(line, 'T2'))];
      const mixed: string[] = [];
      for (let [i, j] = [0, 0]; i < a.length || j < b.length;) {
        const takeLeft = j >= b.length || (i < a.length && coin.next().value === true);
        mixed.push((takeLeft ? a[i++] : b[j++]) ?? '');
      }
      return { mixed, kinds: [kindsOf(a)[0], kindsOf(b)[0]] };
    });

  test('the first of each is found, whatever their lines are mixed with', () => {
    fc.assert(
      fc.property(interleaved, ({ mixed, kinds }) => {
        const found = kindsOf(mixed);
        for (const kind of kinds) expect(found).toContain(kind);
      }),
      { numRuns: 100 },
    );
  });

  test('bytes may be missing anywhere: nothing breaks, and what comes before the gap stays as it was', () => {
    const cut = fc.tuple(fc.constantFrom(...texts), fc.nat(), fc.nat({ max: 400 }));
    fc.assert(
      fc.property(cut, ([lines, at, length]) => {
        const log = lines.join('\n');
        const start = at % log.length;
        const before = findKernelReports(log.slice(0, start)).map(({ kind }) => kind);
        const after = findKernelReports(log.slice(0, start) + log.slice(start + length)).map(({ kind }) => kind);
        expect(after.slice(0, before.length)).toEqual(before);
      }),
      { numRuns: 100 },
    );
  });
});

test('a title in the middle of another line is found all the same', () => {
  const torn = '[    1.000000] edgpu: mapping [    1.000001] BUG: KASAN: slab-use-after-free in f+0x1/0x2\n';
  expect(found(torn)).toEqual(['kasan alive | BUG: KASAN: slab-use-after-free in f+0x1/0x2']);
});

describe('a line that the console begins, and prints again from its beginning', () => {
  const REPLAY = '** replaying previous printk message **';
  const line = (text: string): string => `<4>[    1.000000][    T1] ${text}`;
  const bug = 'BUG: KASAN: slab-use-after-free in provoke+0x10/0x20 [provoke]';

  function scan(...lines: readonly string[]): KernelReportScanner {
    const scanner = new KernelReportScanner();
    for (const text of lines) scanner.push(text);
    return scanner;
  }

  test('is the one report that its whole text is', () => {
    const { reports } = scan(line('BUG: KAS'), REPLAY, line(bug));
    expect(reports).toMatchObject([{ kind: 'kasan', title: bug, lines: [bug] }]);
  });

  test('is one warning', () => {
    const { warnings } = scan(line('some driver has no'), REPLAY, line('some driver has no firmware'));
    expect(warnings.map(({ text }) => text)).toEqual(['some driver has no firmware']);
  });

  test('keeps the kind that the lines before it gave it', () => {
    const refcount = 'refcount_t: underflow; use-after-free.';
    const title = 'WARNING: lib/refcount.c:28 at refcount_warn_saturate+0x55/0x60, CPU#0: sh/84';
    const { reports } = scan(line(refcount), line(title.slice(0, 40)), REPLAY, line(title));
    expect(reports).toMatchObject([{ kind: 'refcount', title, lines: [refcount, title] }]);
  });

  test.for([
    ['another time', '<4>[    1.000001][    T1] '],
    ['another task', '<4>[    1.000000][    T2] '],
  ])('is no other one of $0', ([, stamp]) => {
    expect(scan(line(bug), REPLAY, `${stamp}${bug}`).reports).toHaveLength(2);
  });
});

/** Lines that nobody knows are listed, whoever says them; what belongs to a report, or is known for a while, is not. */
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { KernelReportScanner, type KernelWarning } from '../../../src/vm/kernel-log/kernel-report.ts';
import { KNOWN_WARNINGS, unknownWarnings } from '../../../src/vm/kernel-log/known-warnings.ts';

const BEFORE = new Date('2026-12-01');
const LONG_AFTER = new Date('2031-01-01');

function warningsIn(lines: readonly string[], time = 10): readonly KernelWarning[] {
  const scanner = new KernelReportScanner();
  for (const line of lines) {
    const [, level = '', text = ''] = /^<(\d+)>(.*)$/.exec(line) ?? ['', '', line];
    scanner.push(`${level === '' ? '' : `<${level}>`}[   ${time.toFixed(6)}][  T140] ${text}`);
  }
  return scanner.warnings;
}

describe('a line of level warning or worse', () => {
  test('is listed with its level, whatever driver says it; information is not, nor a line without a level', () => {
    const lines = [
      '<4>foo: odd',
      '<3>bar 0000:00:07.0: wrong',
      '<0>baz: gone',
      '<5>qux: noted',
      '<6>quux: fine',
      'corge',
    ];
    expect(warningsIn(lines)).toEqual([
      { level: 4, text: 'foo: odd' },
      { level: 3, text: 'bar 0000:00:07.0: wrong' },
      { level: 0, text: 'baz: gone' },
    ]);
  });

  test('of a program that writes to the log of the kernel is listed, too, but not what the rig has it say', () => {
    expect(warningsIn(['<12>udevd: odd', '<9>RIG-READY AAAA', '<9>RIG-AWAKE 0'])).toEqual([
      { level: 4, text: 'udevd: odd' },
    ]);
  });

  test('that is part of a report is not listed: title, trace, and what was said before the title', () => {
    expect(
      warningsIn([
        '<4>refcount_t: underflow; use-after-free.',
        '<4>WARNING: lib/refcount.c:28 at f+0x1/0x2',
        '<4> g+0x1/0x2',
      ]),
    ).toEqual([]);
    expect(warningsIn(['<3>[TTM] Buffer eviction failed'])).toEqual([]);
    const dumped = ['page: refcount:1 mapcount:0', 'flags: 0x0', 'page dumped because: VM_WARN_ON_FOLIO(true, folio)'];
    const warning = ['------------[ cut here ]------------', 'WARNING: mm/shmem.c:1 at f+0x1/0x2'];
    expect(warningsIn([...dumped, ...warning].map((text) => `<4>${text}`))).toEqual([]);
  });

  test('that repeats the registers behind the end of an oops is not listed, but what else follows is', () => {
    const registers = [
      'RIP: 0010:lkdtm_BUG+0x4/0x10 [lkdtm]',
      'Code: ef 58 5b 5d e9 <0f> 0b 66',
      'RSP: 0018:ffa00000001dfdf0 EFLAGS: 00010286',
      'RAX: ffffffffa0000890 RBX: ff110000040d1000 RCX: 0000000000000000',
      'FS:  000000001897c440(0000) GS:ff1100009ce2a000(0000) knlGS:0000000000000000',
      'CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033',
      'CR2: 0000000000000008 CR3: 000000010a5f2000 CR4: 00000000003706f0',
    ].map((text) => `<4>${text}`);
    const oops = ['<4>------------[ cut here ]------------', '<2>kernel BUG at drivers/misc/lkdtm/bugs.c:112!'];
    const end = '<4>---[ end trace 0000000000000000 ]---';
    expect(warningsIn([...oops, ...registers, end, ...registers, '<4>foo: odd'])).toEqual([
      { level: 4, text: 'foo: odd' },
    ]);
    expect(warningsIn(registers)).toHaveLength(registers.length);
  });

  test.for([
    ['slab-corruption-left-redzone', 'what is wrong before the title, and how it was mended behind the end'],
    ['slab-corruption-poison', 'the same of memory that was freed'],
    ['oops-exec-of-data', 'what the kernel tried'],
    ['oops-exec-of-user-memory', 'the same of code that is not its own'],
  ])('that is a part of %s is not listed: %s', async ([name]) => {
    const text = await readFile(new URL(`kernel-reports/${name}.txt`, import.meta.url), 'utf8');
    const scanner = new KernelReportScanner();
    for (const line of text.split('\n').filter((said) => said.startsWith('['))) scanner.push(`<3>${line}`);
    const parts = /overwritten\]|^=+$|^FIX |execute/;
    expect(text).toMatch(/overwritten\]|execute/);
    expect(scanner.warnings.filter(({ text: said }) => parts.test(said))).toEqual([]);
  });

  test('of a dump that is longer than what is kept of it is not listed', () => {
    const title = '<3>BUG kmalloc-1k (Not tainted): Object corrupt';
    const dump = (name: string, lines: number): string[] =>
      Array.from({ length: lines }, (_, i) => `<3>${name}  ${(0xa93400 + 16 * i).toString(16)}: cc cc cc cc  ....`);
    expect(warningsIn([title, ...dump('Redzone', 150), ...dump('Padding', 100), '<4>foo: odd'])).toEqual([
      { level: 4, text: 'foo: odd' },
    ]);
  });

  test('is listed after a report that was said in one line', () => {
    const lines = ['<1>BUG: Bad rss-counter state mm:1 type:MM_FILEPAGES val:1', '<4>foo: odd'];
    expect(warningsIn(lines)).toEqual([{ level: 4, text: 'foo: odd' }]);
  });
});

describe('unknown warnings', () => {
  test('are counted where only numbers differ', () => {
    expect(unknownWarnings(warningsIn(['<4>foo 1: odd 0x12', '<4>foo 2: odd 0x1f', '<4>bar: odd']), BEFORE)).toEqual([
      { level: 4, text: 'foo 1: odd 0x12', count: 2 },
      { level: 4, text: 'bar: odd', count: 1 },
    ]);
  });

  test('are none that a busy host makes KUnit say', () => {
    const said = '<4>    # ttm_tt_shmem_fail_swapout: Test should be marked slow (runtime: 8.523097064s)';
    expect(unknownWarnings(warningsIn([said]), BEFORE)).toEqual([]);
  });

  test('are none that a program makes the kernel say which looks for tracing where it used to be', () => {
    const said = '<4>NOTICE: Automounting of tracing to debugfs is deprecated and will be removed in 2030';
    expect(unknownWarnings(warningsIn([said]), BEFORE)).toEqual([]);
    expect(unknownWarnings(warningsIn([`${said}?`]), BEFORE)).toHaveLength(1);
  });

  test('are a call of trace_printk() that somebody has forgotten, though the frame around it is known', () => {
    const said = ['**   NOTICE   **', '**         **', '** trace_printk() being used. Allocating extra memory.  **'];
    expect(unknownWarnings(warningsIn(said.map((text) => `<4>${text}`)), BEFORE)).toEqual([
      { level: 4, text: said.at(-1), count: 1 },
    ]);
  });

  test.each(KNOWN_WARNINGS)('$example is known until $until', ({ example, reason, until }) => {
    const warnings = [{ level: 4, text: example }];
    expect(reason).not.toBe('');
    expect(until).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(unknownWarnings(warnings, BEFORE)).toEqual([]);
    expect(unknownWarnings(warnings, LONG_AFTER)).toHaveLength(1);
  });
});

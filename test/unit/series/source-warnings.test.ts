import { describe, expect, test } from 'vitest';
import { documentedNames, exportedSymbols, newWarnings, warningIn } from '../../../src/series/source-warnings.ts';

const FILES = new Set(['mm/shmem.c', 'mm/shmem_limit.h']);

describe('a warning', () => {
  test.for([
    [
      'mm/shmem.c:12:5: warning: unused variable ‘x’ [-Wunused-variable]',
      'mm/shmem.c: warning: unused variable ‘x’ [-Wunused-variable]',
    ],
    ['./mm/shmem_limit.h:3: warning: text', 'mm/shmem_limit.h: warning: text'],
    ['mm/shmem.c:7:1: error: bad constant expression', 'mm/shmem.c: error: bad constant expression'],
    ['mm/other.c:7:1: warning: text', undefined],
    ['  CC      mm/shmem.o', undefined],
    ['mm/shmem.c:7:1: note: declared here', undefined],
    ['mm/shmem.c: In function ‘f’:', undefined],
  ] as const)('in "%s"', ([line, warning]) => {
    expect(warningIn(line, FILES)).toBe(warning);
  });

  test('is new when it is there more often than before', () => {
    expect(newWarnings(['a', 'b', 'a', 'c'], ['a', 'b'])).toEqual(['a', 'c']);
    expect(newWarnings(['a'], ['a', 'b'])).toEqual([]);
  });
});

describe('exports', () => {
  test('are those that a patch adds for everybody', () => {
    const patch = `
+EXPORT_SYMBOL(one);
+EXPORT_SYMBOL_GPL(two);
+EXPORT_SYMBOL_FOR_MODULES(three, "ttm");
+EXPORT_SYMBOL_FOR_TESTS_ONLY(four);
+EXPORT_SYMBOL_IF_KUNIT(five);
-EXPORT_SYMBOL(six);
 EXPORT_SYMBOL(seven);
`;
    expect(exportedSymbols(patch)).toEqual(['one', 'two', 'three']);
  });

  test('are documented by the comment above them', () => {
    const source = `
/**
 * one() - does it
 * @a: b
 */
/**
 * struct two - is it
 */
/*
 * three() - an ordinary comment
 */
/**
 * four - without brackets
 */
`;
    expect([...documentedNames(source)]).toEqual(['one', 'two', 'four']);
  });
});

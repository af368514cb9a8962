import { describe, expect, test } from 'vitest';

import { insertHookLine, parseHooks } from '../../../src/builds/tree/source-hooks.ts';

const HOOK = { file: 'hw/Kconfig', after: 'source dma/Kconfig', line: 'source edgpu/Kconfig' };

describe('insertHookLine', () => {
  test('puts the line after its anchor', () => {
    const result = insertHookLine('source audio/Kconfig\nsource dma/Kconfig\nsource gpio/Kconfig\n', HOOK);
    expect(result).toEqual({
      text: 'source audio/Kconfig\nsource dma/Kconfig\nsource edgpu/Kconfig\nsource gpio/Kconfig\n',
    });
  });

  test.each([
    ['no anchor', 'source audio/Kconfig\n', /has no line/],
    ['only a longer line', 'source dma/Kconfig.old\n', /has no line/],
    ['only an indented line', '  source dma/Kconfig\n', /has no line/],
    ['two anchors', 'source dma/Kconfig\nsource dma/Kconfig\n', /has 2 lines/],
    ['an empty file', '', /has no line/],
  ])('refuses %s', (_what, content, message) => {
    const result = insertHookLine(content, HOOK);
    expect('fault' in result && result.fault).toMatch(message);
  });
});

describe('parseHooks', () => {
  test('knows lines and copies', () => {
    const hooks = [HOOK, { copy: 'edgpu.json', to: 'qapi/edgpu.json' }];
    expect(parseHooks(JSON.stringify(hooks), 'hooks.json')).toEqual(hooks);
  });

  test.each([
    '[',
    '{}',
    '[{"file":"a"}]',
    '[{"file":"a","after":"","line":"b"}]',
    '[{"copy":"a","to":"b","line":"c"}]',
  ])('refuses %s', (text) => expect(() => parseHooks(text, 'the/hooks.json')).toThrow(/the\/hooks\.json is not/));
});

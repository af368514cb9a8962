import { describe, expect, test } from 'vitest';

import { findArchive, formatSources, parseDeb822, parseOneLine } from '../../../src/builds/debian/apt-sources.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

const DEB822 = `Types: deb
# a comment within a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: ${KEYRING}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: ${KEYRING}
`;

const ARCHIVE = { uris: ['http://mirror.example/debian'], signedBy: KEYRING };

describe('deb822', () => {
  test('stanzas, comments, lists', () => {
    expect(parseDeb822(DEB822)).toMatchObject([
      { ...ARCHIVE, suites: ['bookworm', 'bookworm-updates'], components: ['main'] },
      { suites: ['bookworm-security'] },
    ]);
  });

  test('a key within the file, and values on lines of their own', () => {
    const text = `URIs:\n http://one.example\n http://two.example\nsuites: sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n x\n -----END\n`;
    expect(parseDeb822(text)).toEqual([
      {
        uris: ['http://one.example', 'http://two.example'],
        suites: ['sid'],
        components: ['main'],
        signedBy: '-----BEGIN\n .\n x\n -----END',
      },
    ]);
  });

  test('a stanza that is off does not count', () => {
    expect(parseDeb822(`Enabled: no\n${DEB822}`)).toMatchObject([{ suites: ['bookworm-security'] }]);
  });
});

describe('one line each', () => {
  test.each([
    [
      'deb http://m.example/debian sid main contrib',
      { uris: ['http://m.example/debian'], suites: ['sid'], components: ['main', 'contrib'] },
    ],
    [
      `deb [arch=amd64 signed-by=${KEYRING}] http://m.example/d trixie main # all`,
      { signedBy: KEYRING, suites: ['trixie'] },
    ],
    ['  deb\thttp://m.example/d   sid main', { uris: ['http://m.example/d'] }],
  ])('%s', (line, source) => expect(parseOneLine(line)).toMatchObject([source]));

  test.each(['# deb http://m.example sid main', 'deb-src http://m.example sid main', '', 'deb'])(
    '"%s" is none',
    (line) => {
      expect(parseOneLine(line)).toEqual([]);
    },
  );
});

describe('the archive of the release', () => {
  const file = (name: string, text: string): { name: string; text: string } => ({ name, text });

  test('is found in either style', () => {
    expect(findArchive([file('debian.sources', DEB822)], 'bookworm')).toMatchObject(ARCHIVE);
    const line = file('sources.list', 'deb http://m.example/debian trixie main');
    expect(findArchive([line], 'trixie')).toMatchObject({ uris: ['http://m.example/debian'] });
  });

  test('may go by its class', () => {
    expect(findArchive([file('sources.list', 'deb http://m.example/debian stable main')], 'trixie')).toBeDefined();
  });

  test.each([
    ['another vendor', 'deb https://packages.example/apt cloud-bookworm main'],
    ['updates only', 'deb http://m.example/debian bookworm-updates main'],
    ['no main', 'deb http://m.example/debian bookworm contrib'],
  ])('is not %s', (_what, text) => expect(findArchive([file('x.list', text)], 'bookworm')).toBeUndefined());

  test('is written so that it can be read again', () => {
    const text = formatSources({ archive: ARCHIVE, name: 'trixie', checkValidUntil: true });
    expect(parseDeb822(text)).toEqual([{ ...ARCHIVE, suites: ['trixie'], components: ['main'] }]);
    expect(text).not.toContain('Check-Valid-Until');
  });
});

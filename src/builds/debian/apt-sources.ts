/** Reads the system's own apt sources, to find where it gets Debian from and which key it trusts for that. */

export interface AptArchive {
  readonly uris: readonly string[];
  /** A keyring's path, or the key itself; absent when the system trusts its global keyrings. */
  readonly signedBy?: string;
}

/** One suite of an archive: what apt calls a source. */
export interface AptSuite {
  readonly archive: AptArchive;
  readonly name: string;
  /** False for an archive of the past: its lists have expired. */
  readonly checkValidUntil: boolean;
}

interface AptSource extends AptArchive {
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/** The archive that provides `main` of the release `codename` itself (and not only its updates). */
export function findArchive(
  files: readonly { readonly name: string; readonly text: string }[],
  codename: string,
): AptArchive | undefined {
  const wanted = new Set([codename, 'stable', 'testing', 'unstable', 'sid']);
  const sources = files.flatMap(({ name, text }) =>
    name.endsWith('.sources') ? parseDeb822(text) : parseOneLine(text),
  );
  return sources.find(
    ({ suites, components }) => components.includes('main') && suites.some((suite) => wanted.has(suite)),
  );
}

/** sources.list(5), deb822 style: stanzas of fields, of which the values may go on in indented lines. */
export function parseDeb822(text: string): AptSource[] {
  return text.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const fields = parseFields(stanza);
    const uris = words(fields.get('uris'));
    if (/^no$/i.test(fields.get('enabled')?.trim() ?? '') || uris.length === 0) return [];
    const signedBy = fields.get('signed-by')?.trim();
    return [
      {
        uris,
        suites: words(fields.get('suites')),
        components: words(fields.get('components')),
        ...(signedBy ? { signedBy } : {}),
      },
    ];
  });
}

function parseFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let current: string | undefined;
  for (const line of stanza.split('\n').filter((candidate) => !candidate.startsWith('#'))) {
    const [, name, value] = /^([\w-]+):(.*)$/.exec(line) ?? [];
    if (name !== undefined) fields.set((current = name.toLowerCase()), value ?? '');
    else if (current !== undefined && /^\s/.test(line)) fields.set(current, `${fields.get(current) ?? ''}\n${line}`);
  }
  return fields;
}

/** sources.list(5), one-line style: `deb [signed-by=…] URI SUITE COMPONENT…`. */
export function parseOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const [, options = '', rest = ''] = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?([^#]*)/.exec(line) ?? [];
    const [uri, suite, ...components] = words(rest);
    if (uri === undefined || suite === undefined) return [];
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1];
    return [{ uris: [uri], suites: [suite], components, ...(signedBy ? { signedBy } : {}) }];
  });
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

/** deb822 text for the binary and source packages of a suite. */
export function formatSources({ archive: { uris, signedBy }, name, checkValidUntil }: AptSuite): string {
  return [
    'Types: deb deb-src',
    `URIs: ${uris.join(' ')}`,
    `Suites: ${name}`,
    'Components: main',
    ...(signedBy === undefined ? [] : [`Signed-By: ${signedBy}`]),
    ...(checkValidUntil ? [] : ['Check-Valid-Until: no']),
    '',
  ].join('\n');
}

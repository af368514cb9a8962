/** HTML as a template literal: what is put in is escaped, unless it is HTML itself. */

const MARKUP = Symbol('markup');

export interface Html {
  readonly [MARKUP]: string;
}

type Content = Html | string | number | undefined | readonly Content[];

export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return { [MARKUP]: parts.map((part, index) => part + render(contents[index])).join('') };
}

/** This is for style sheets of our own. */
export function trusted(markup: string): Html {
  return { [MARKUP]: markup };
}

export function markupOf(content: Html): string {
  return content[MARKUP];
}

function render(content: Content): string {
  if (content === undefined) return '';
  if (typeof content === 'string' || typeof content === 'number') return escape(String(content));
  return isList(content) ? content.map(render).join('') : content[MARKUP];
}

function isList(content: Html | readonly Content[]): content is readonly Content[] {
  return Array.isArray(content);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

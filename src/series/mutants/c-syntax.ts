/** C as a syntax tree, by tree-sitter's grammar: it is told nothing of macros, and goes on after what it can't read. */
import { createRequire } from 'node:module';
import { Language, Parser, type Node } from 'web-tree-sitter';

let parser: Promise<Parser> | undefined;

/** Marks for sparse, after which the grammar would take the rest of a declaration for a statement. */
const MARKS = /\b__(?:user|iomem|rcu|percpu|force|bitwise|private)\b/g;

/** Parses one file; its nodes say where they are by characters of `text`. */
export async function parseC(text: string): Promise<Node> {
  parser ??= makeParser();
  const tree = (await parser).parse(text.replaceAll(MARKS, (mark) => ' '.repeat(mark.length)));
  if (!tree) throw new Error('tree-sitter has no tree for a text');
  return tree.rootNode;
}

async function makeParser(): Promise<Parser> {
  await Parser.init();
  const made = new Parser();
  made.setLanguage(await Language.load(createRequire(import.meta.url).resolve('tree-sitter-c/tree-sitter-c.wasm')));
  return made;
}

/** Functions with a body, and the names that they are called by. */
export function functionsIn(root: Node): { readonly name: string; readonly body: Node }[] {
  return root.descendantsOfType('function_definition').flatMap((found) => {
    const body = found.childForFieldName('body');
    const name = found.childForFieldName('declarator')?.descendantsOfType('identifier')[0]?.text;
    return body === null || name === undefined ? [] : [{ name, body }];
  });
}

const STATEMENT = /_statement$|^declaration$/;

/** The smallest statement around it: the compiler may count what it does at its first line alone. */
export function statementAround(node: Node): Node {
  let found = node;
  while (!STATEMENT.test(found.type) && found.parent) found = found.parent;
  return found;
}

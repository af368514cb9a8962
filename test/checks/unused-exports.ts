/**
 * Names the exports of `src` that nothing else imports, and those that only tests do and their own file does not
 * either: that is code for tests, and has its place there. What a file exports of its insides for a test of its own is
 * fine. Part of `npm run check`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** What vitest loads by its path, and what tests of the device are written against as benches are. */
const LOADED_BY_PATH = /^src\/(suites\/|benches\/|plan\/(global-setup|printed-name-runner)\.ts)/;
const FOR_TESTS_OF_THE_DEVICE = 'src/device/';
/** Makes docs/dgpu-rig.schema.json, by hand. */
const BY_HAND = 'src/cli/options/user-defaults.ts defaultsSchema';

interface Module {
  readonly file: string;
  readonly source: ts.SourceFile;
}

interface Exported {
  readonly name: string;
  readonly line: number;
  readonly usedHere: boolean;
}

function parse(file: string): Module {
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  return { file, source: ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true) };
}

function exportsOf({ source }: Module): Exported[] {
  return source.statements.flatMap((statement) => {
    const exported = ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some(isExport);
    const line = source.getLineAndCharacterOfPosition(statement.getStart()).line + 1;
    return exported ? namesOf(statement).map((name) => ({ name, line, usedHere: occurs(name, source) > 1 })) : [];
  });
}

function occurs(name: string, node: ts.Node): number {
  let count = ts.isIdentifier(node) && node.text === name ? 1 : 0;
  ts.forEachChild(node, (child) => void (count += occurs(name, child)));
  return count;
}

function isExport({ kind }: ts.ModifierLike): boolean {
  return kind === ts.SyntaxKind.ExportKeyword;
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
  }
  const named = statement as Partial<ts.DeclarationStatement>;
  return named.name && ts.isIdentifier(named.name) ? [named.name.text] : [];
}

/** Each import as "file name", by whom. */
function importsOf({ file, source }: Module): string[] {
  const found: string[] = [];
  const resolve = (specifier: ts.Expression | undefined): string | undefined =>
    specifier && ts.isStringLiteral(specifier) && specifier.text.startsWith('.')
      ? path.join(path.dirname(file), specifier.text)
      : undefined;
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const from = resolve(node.moduleSpecifier);
      const list = ts.isImportDeclaration(node) ? node.importClause?.namedBindings : node.exportClause;
      if (from !== undefined && list && 'elements' in list)
        for (const { propertyName, name } of list.elements) found.push(`${from} ${(propertyName ?? name).text}`);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      // Which of its exports are used is not seen so easily: those whose names occur in this file.
      const from = resolve(node.arguments[0]);
      for (const name of identifiersOf(source)) found.push(`${String(from)} ${name}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function identifiersOf(source: ts.SourceFile): Set<string> {
  return new Set(source.text.match(/[A-Za-z_$][\w$]*/g));
}

const all = ['src', 'test']
  .flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => path.join(folder, file)),
  )
  .filter((file) => file.endsWith('.ts'))
  .concat('vitest.config.ts')
  .map(parse);
const importedBy = (wanted: (file: string) => boolean): Set<string> =>
  new Set(all.filter(({ file }) => wanted(file)).flatMap(importsOf));
const byProduct = importedBy((file) => !file.startsWith('test/'));
const byTests = importedBy((file) => file.startsWith('test/'));

const complaints = all
  .filter(({ file }) => file.startsWith('src/') && !LOADED_BY_PATH.test(file))
  .flatMap((module) =>
    exportsOf(module).flatMap(({ name, line, usedHere }) => {
      const key = `${module.file} ${name}`;
      if (byProduct.has(key)) return [];
      const where = `${module.file}:${line}: ${name}`;
      if (!byTests.has(key)) return [`${where} is used in no other file: it need not be exported`];
      const fine = usedHere || module.file.startsWith(FOR_TESTS_OF_THE_DEVICE) || key === BY_HAND;
      return fine ? [] : [`${where} is used by tests only: it belongs there`];
    }),
  );
for (const complaint of complaints) process.stderr.write(`${complaint}\n`);
process.exitCode = complaints.length > 0 ? 1 : 0;

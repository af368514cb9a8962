/** Names the lines of comment that are wider than 120 columns; code is the formatter's, which leaves comments alone. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const WIDEST = 120;
const CHECKED = /(^dgpu-rig|\.(ts|m?js|c|h|ya?ml|sh|qapi|mak|build))$/;
const SLASHES = /\.(ts|m?js|c|h)$/;
const COMMENT = { slashes: /^\s*(\/\/|\/?\*)/, hash: /^\s*#/ };
/** A word that is as wide can't be wrapped. */
const ONE_WORD = /^\s*(\/\/|\/?\*\*?|#)\s*\S+$/;

const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT })
  .toString()
  .split('\0')
  .filter((file) => CHECKED.test(file));
for (const file of files) {
  const comment = COMMENT[SLASHES.test(file) ? 'slashes' : 'hash'];
  for (const [index, line] of readFileSync(path.join(ROOT, file), 'utf8').split('\n').entries()) {
    const width = line.replaceAll('\t', ' '.repeat(8)).length;
    if (width <= WIDEST || !comment.test(line) || ONE_WORD.test(line)) continue;
    process.stderr.write(`${file}:${index + 1}: a comment of ${width} columns, where ${WIDEST} are the most\n`);
    process.exitCode = 1;
  }
}

/** Options of the kernel that a person asks for: `--kconfig CONFIG_X=y`, or a file of such lines. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { RigError } from '../../util/rig-error.ts';

const ASSIGNMENT = /^CONFIG_\w+=(?:[ymn]|-?\d+|0x[0-9a-fA-F]+|".*")$/;
const OFF = /^# CONFIG_\w+ is not set$/;

/** Whether a value of the option is an assignment; otherwise it is the name of a file. */
export function isAssignment(word: string): boolean {
  return /^(# )?CONFIG_/.test(word);
}

/** All of them as one fragment, in the order in which they were given: the last word counts. */
export async function readUserConfig(words: readonly string[]): Promise<string> {
  const parts = await Promise.all(words.map(async (word) => (isAssignment(word) ? assignment(word) : fileOf(word))));
  return parts.join('\n');
}

function assignment(word: string): string {
  if (ASSIGNMENT.test(word) || OFF.test(word)) return word;
  throw new RigError('usage', `--kconfig ${word}: that is no option with a value.`, {
    remedy: 'Write CONFIG_X=y, =m, =n, =123 or ="text", or name a file of such lines.',
  });
}

async function fileOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const name = path.basename(file);
    const what = name.includes('=') ? `"${name}" is neither an option nor a file` : `there is no file ${file}`;
    throw new RigError('usage', `--kconfig: ${what}.`, {
      remedy: 'An option has its whole name, as in --kconfig CONFIG_SW_SYNC=y',
      cause,
    });
  });
  for (const [index, line] of text.split('\n').entries()) {
    const said = line.trim();
    if (said === '' || said.startsWith('#') || ASSIGNMENT.test(said)) continue;
    throw new RigError('usage', `${file}:${index + 1}: "${said}" is no option with a value.`, {
      remedy: 'Each line is CONFIG_X=y, =m, =n, =123 or ="text", or a comment.',
    });
  }
  return text;
}

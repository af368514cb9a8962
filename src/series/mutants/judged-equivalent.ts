/** Mutants that no test can notice, as somebody has found out: rig/mutants.yaml has each with its reason. */
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import { mutantId } from './mutants.ts';

export const EQUIVALENT_FILE = 'rig/mutants.yaml';

const words = z.string().min(1);
const mutantsFile = z.strictObject({
  equivalent: z.array(
    z.strictObject({
      file: words,
      function: words,
      was: words,
      becomes: words,
      nth: z.int().positive().default(1),
      reason: z.string().min(10, 'a reason is a sentence'),
    }),
  ),
});

/** The identifiers of the mutants. */
export function parseEquivalent(text: string): ReadonlySet<string> {
  const parsed = mutantsFile.safeParse(yamlOf(text));
  if (!parsed.success) throw mistake(z.prettifyError(parsed.error));
  const known = new Set<string>();
  for (const entry of parsed.data.equivalent) {
    const title = `${entry.file}, ${entry.function}(): ${entry.was} → ${entry.becomes}`;
    if (known.has(mutantId(entry))) throw mistake(`it has this one twice: ${title}`);
    known.add(mutantId(entry));
  }
  return known;
}

function yamlOf(text: string): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    throw mistake(error instanceof Error ? error.message : String(error));
  }
}

function mistake(what: string): RigError {
  return new RigError('usage', `${EQUIVALENT_FILE} is not valid: ${what}`, { remedy: `Correct ${EQUIVALENT_FILE}.` });
}

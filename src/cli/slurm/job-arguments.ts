/** The command line as it was given, for jobs that run parts of it elsewhere. */
import type { Option } from 'commander';

/** Options for the rig that hands out the jobs, which no job may get. */
const OWN_OPTIONS = ['engine', 'shards', 'json', 'junit', 'ktap', 'html', 'kcidb', 'jsonl', 'seed'];

/** All shards of a run have one seed. */
export function jobArguments(argv: readonly string[], options: readonly Option[], seed: number): string[] {
  const kept: string[] = ['--seed', String(seed)];
  for (let position = 0; position < argv.length; position++) {
    const word = argv[position] ?? '';
    const [flag] = word.split('=', 1);
    const option = options.find(({ long, short }) => long === flag || short === flag);
    const length = option?.required === true && !word.includes('=') ? 2 : 1;
    const own = option !== undefined && OWN_OPTIONS.includes(option.attributeName());
    if (!own) kept.push(...argv.slice(position, position + length));
    position += length - 1;
  }
  return kept;
}

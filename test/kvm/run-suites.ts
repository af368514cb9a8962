/** Runs suites with the rig that the file named first has, and writes their results to the file named second. */
import { readFile, writeFile } from 'node:fs/promises';
import { runVitest } from '../../src/cli/run/vitest-run.ts';
import { openSession } from '../../src/cli/session.ts';
import type { RigContext } from '../../src/plan/rig-context.ts';
import { suiteFiles } from '../../src/plan/suite-files.ts';
import { vitestProject } from '../../src/plan/vitest-projects.ts';

const [input = '', output = '', suites = '', filter = ''] = process.argv.slice(2);
// Only what a rig is made of: it is JSON all through.
const rig = JSON.parse(await readFile(input, 'utf8')) as RigContext;
const projects = [vitestProject('suites', { include: await suiteFiles(suites.split(',')), maxVms: 1 })];
const pattern = filter === '' ? undefined : new RegExp(filter);
const { results } = await runVitest({ projects, rig, filter: pattern }, openSession());
await writeFile(output, JSON.stringify(results));
process.exit(0);

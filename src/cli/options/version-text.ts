/** What `--version` says: enough for a bug report. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { repositoryPath } from '../../config/paths.ts';
import { repositoryCommit } from '../../plan/prepare-run.ts';

const packageFile = z.object({ version: z.string() });

/** With the commit, if it runs from a clone; "+" where that was edited. */
export async function versionText(): Promise<string> {
  const { version } = packageFile.parse(JSON.parse(await readFile(repositoryPath('package.json'), 'utf8')));
  const commit = await repositoryCommit();
  return `dgpu-rig ${version}${commit === undefined ? '' : ` at ${commit}`}`;
}

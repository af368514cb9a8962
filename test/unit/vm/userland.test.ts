/** Commands reach the userland whole, whatever is in them. */
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { inUserland, prepareUserland, userlandSession } from '../../../src/vm/link/userland.ts';

test.for(['echo "a  b" \'c\' $((1 + 2)) | cat; exit 3', 'for i in 1 2; do\n echo $i\ndone'])('%o', async (command) => {
  const script = inUserland(command).replace('/usr/sbin/in-debian', 'env');
  const run = async (text: string): Promise<unknown> => {
    const { exitCode, stdout, stderr } = await execa('sh', ['-c', text], { reject: false });
    return { exitCode, stdout, stderr };
  };
  expect(await run(script)).toEqual(await run(command));
});

test('that it is not there is no fault of the program', async () => {
  const exec = (): Promise<never> => Promise.resolve({ exitCode: 125, stderr: 'mount: no erofs\n' } as never);
  await expect(prepareUserland({ exec })).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: "The guest can't use its Debian userland: mount: no erofs",
  });
});

test('files go there by the same way', async () => {
  const opened: string[] = [];
  const session = userlandSession({ open: (command) => Promise.reject(new Error(String(opened.push(command)))) });
  await session.open('tar -x').catch(() => undefined);
  expect(opened).toEqual([inUserland('tar -x')]);
});

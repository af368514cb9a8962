/** A program that counts what it executes, in the place of a kernel: each of its runs stands for a VM. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

export const DRIVER = 'drivers/gpu/drm/edgpu';

/** Compiles these sources in a folder, by their paths in it, and returns how to run what comes of them. */
export async function buildCounted(
  tree: string,
  sources: Readonly<Record<string, string>>,
): Promise<(vm: string, args?: readonly string[]) => Promise<unknown>> {
  const objects: string[] = [];
  for (const [file, text] of Object.entries(sources)) {
    await mkdir(path.dirname(path.join(tree, file)), { recursive: true });
    await writeFile(path.join(tree, file), text);
    const object = file.replace(/c$/, 'o');
    await execa('gcc', ['-fprofile-arcs', '-ftest-coverage', '-c', file, '-o', object], { cwd: tree });
    objects.push(object);
  }
  await execa('gcc', ['--coverage', '-o', 'program', ...objects], { cwd: tree });
  // As the kernel does it: the counters are below a folder, by the path of their object.
  return (vm, args = []) => execa('./program', args, { cwd: tree, env: { GCOV_PREFIX: path.join(vm, 'gcov') } });
}

import { defineConfig } from 'vitest/config';
import { PROJECT_NAMES, vitestProject } from './src/plan/vitest-projects.ts';

// For `npx vitest --project unit` and editors; `./dgpu-rig` passes the same projects itself.
export default defineConfig({
  test: { projects: PROJECT_NAMES.map((name) => vitestProject(name)) },
});

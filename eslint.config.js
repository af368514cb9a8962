import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  { ignores: ['node_modules/', 'eslint.config.js', '.dependency-cruiser.js', 'src/cli/crash-guard.mjs'] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      // One screen: beyond it a function holds a table or two ideas.
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['src/**'],
    ignores: ['src/builds/tree/git.ts', 'src/util/on-abort.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "CallExpression[callee.name='execa'] > Literal[value='git']",
          message: 'Run it by git.ts: what the user has configured must not change what it says.',
        },
      ],
    },
  },
  // A test file is one long describe().
  { files: ['test/**', 'src/suites/**'], rules: { 'max-lines-per-function': 'off' } },
);

import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import pure from './pure.cjs';

const NO_ENUMS = { selector: 'TSEnumDeclaration', message: 'use a union of literals' };

/** Names of the surroundings that a pure file does without. */
const IMPURE_GLOBALS = [
  ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask'],
  ...['Promise', 'performance', 'process', 'crypto', 'fetch', 'console', 'globalThis', 'global', 'require'],
].map((name) => ({ name, message: 'a pure file is handed what it needs' }));

const NO_SURROUNDINGS = [
  { selector: ':function[async=true]', message: 'a pure file waits for nobody' },
  { selector: 'AwaitExpression, ForOfStatement[await=true]', message: 'a pure file waits for nobody' },
  { selector: 'ImportExpression', message: 'a pure file loads nothing' },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'a pure file is handed the time' },
  { selector: "CallExpression[callee.name='Date']", message: 'a pure file is handed the time' },
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'a pure file is handed the time' },
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: 'a pure file draws nothing' },
];

export default defineConfig(
  { ignores: ['dist/**', 'dist-guard/**', 'node_modules/**', '.kafka/**', '**/*.mjs', '**/*.cjs', '**/*.js'] },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'examples/**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: new URL('..', import.meta.url).pathname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'none' }],
      'no-restricted-syntax': ['error', NO_ENUMS],
    },
  },
  {
    files: pure.steps,
    rules: {
      'no-restricted-globals': ['error', ...IMPURE_GLOBALS],
      'no-restricted-syntax': ['error', NO_ENUMS, ...NO_SURROUNDINGS],
      'no-restricted-imports': ['error', { patterns: [{ group: ['node:*'], message: 'a pure file does no I/O' }] }],
    },
  },
);

import type { TestProject } from 'vitest/node';
import { makeRunFolder, removeRunFolder } from './run-folder.js';

/** Gives every test run a folder of its own and takes away whatever was started in it. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const folder = await makeRunFolder();
  project.provide('runFolder', folder);
  return () => removeRunFolder(folder);
}

#!/usr/bin/env node
/** The program: `keelson <command>`. Ends with the command's exit code. */
import { runCli } from './cli/index.js';

process.exitCode = await runCli(process.argv.slice(2));

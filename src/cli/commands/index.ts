import type { Command } from 'commander';
import type { Context } from '../command.js';
import { createCase } from './case.js';
import { createCertificate } from './certificate.js';
import { createExportTiles } from './export-tiles.js';
import { createFeedKey } from './feed-key.js';
import { createFsck } from './fsck.js';
import { createGet } from './get.js';
import { createIdentity } from './identity.js';
import { createKeys } from './keys.js';
import { createPoint } from './point.js';
import { createProducers } from './producers.js';
import { createPublish } from './publish.js';
import { createQuarantine } from './quarantine.js';
import { createRebuild } from './rebuild.js';
import { createRevocations } from './revocations.js';
import { createRevoke } from './revoke.js';
import { createSearch } from './search.js';
import { createServe } from './serve.js';
import { createTail } from './tail.js';
import { createTokens } from './tokens.js';
import { createVerify } from './verify.js';
import { createWebhookSecrets } from './webhook-secrets.js';

/** Every command, in the order in which help lists them. */
export const COMMANDS: readonly ((context: Context) => Command)[] = [
  createServe,
  createPublish,
  createSearch,
  createTail,
  createGet,
  createIdentity,
  createVerify,
  createExportTiles,
  createKeys,
  createTokens,
  createProducers,
  createWebhookSecrets,
  createQuarantine,
  createRevoke,
  createRevocations,
  createCase,
  createPoint,
  createCertificate,
  createFeedKey,
  createFsck,
  createRebuild,
];

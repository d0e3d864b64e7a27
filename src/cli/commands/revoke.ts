import { Argument, Option, type Command } from 'commander';
import { asObject, listOf, textOf, type Answer } from '../answer.js';
import {
  createCommand,
  formatJson,
  openClient,
  withExamples,
  withTarget,
  type Context,
  type TargetOptions,
} from '../command.js';
import { CommandError, EXIT } from '../exit.js';
import { formatTable, neutralise } from '../text.js';

interface RevokeOptions extends TargetOptions {
  issuer?: string;
  group?: string;
  effect?: string;
  mode?: string;
  successor?: string;
  reason?: string;
  reasonCode?: string;
  reference?: string;
  at?: string;
  security?: true;
  world?: string;
  dryRun?: true;
}

const WHAT = ['user', 'agent', 'client', 'token', 'grant', 'session', 'delegation', 'tool', 'environment', 'key'];

/** `keelson revoke`. */
export function createRevoke(context: Context): Command {
  const command = withTarget(createCommand('revoke', 'end what a person, agent, client, token … authorized'))
    .addArgument(new Argument('<what>', 'what it is').choices(WHAT))
    .argument('<id>', 'its id; of a token without one: the SHA-256 of the token')
    .option('--issuer <issuer>', 'who knows it by that id')
    .option('--reason <text>', 'why; required but for a dry run')
    .option('--reason-code <code>', 'why, as a code')
    .option('--reference <text>', 'ticket, change or case')
    .option('--at <time>', 'not before this time (RFC 3339)')
    .option('--dry-run', 'only tell what would end')
    .option('--world <etag>', 'the dry run that led to this: what was not seen then is told')
    .option('--security', 'a compromise: no automatic source lifts it')
    .option('--group <group>', 'of a user: only what they hold as a member of it')
    .addOption(new Option('--effect <effect>', 'cutoff: only what was issued up to now').choices(['block', 'cutoff']))
    .addOption(new Option('--mode <mode>', 'what becomes of what a user owns').choices(['revoke', 'hold', 'transfer']))
    .option('--successor <id>', 'of a user: who goes on with what they own (--mode transfer)')
    .action((what: string, id: string, options: RevokeOptions) => revoke(context, what, id, options));
  return withExamples(command, [
    'keelson revoke user dana --issuer https://idp.example --dry-run',
    'keelson revoke user dana --issuer https://idp.example --reason "left the company" --at 2026-12-31T17:00:00Z',
    'keelson revoke agent spiffe://company.com/agent/deploy-bot --reason "prompt injection" --security',
  ]);
}

async function revoke(context: Context, what: string, id: string, options: RevokeOptions): Promise<void> {
  if (options.dryRun === undefined && options.reason === undefined) {
    throw new CommandError(EXIT.usage, 'say why: --reason');
  }
  const client = await openClient(context, options);
  const issuer = options.issuer === undefined ? {} : { issuer: options.issuer };
  const { group, effect, mode, successor } = options;
  const asked = {
    ...(what === 'user' ? { principal: { ...issuer, id } } : { target: { type: what, ...issuer, value: id } }),
    ...(successor === undefined ? {} : { successor: { ...issuer, id: successor } }),
    group,
    effect,
    mode,
  };
  if (options.dryRun) {
    const blast = asObject(await client.sendJson('POST', '/v1/revocations/dry-run', JSON.stringify(asked)));
    if (options.json) await context.output.line(formatJson(blast));
    else for (const line of formatBlast(blast)) await context.output.line(line);
    return;
  }
  const { reason, reasonCode, reference, at, security, world } = options;
  const body = { ...asked, reason, reason_code: reasonCode, reference, effective_at: at, security, world };
  const made = asObject(await client.sendJson('POST', '/v1/revocations', JSON.stringify(body)));
  if (options.json) await context.output.line(formatJson(made));
  else await context.output.line(neutralise(`${textOf(made, 'order')}  ${textOf(made, 'state')}`));
  if (made.state === 'refused') throw new CommandError(EXIT.refused, `refused: ${textOf(made, 'code')}`);
}

function formatBlast(blast: Answer): string[] {
  const keys = listOf(blast, 'keys').map((one) => `${textOf(one, 'count')} ${textOf(one, 'type')}`);
  const incomplete = listOf(blast, 'incomplete').map((one) => `${textOf(one, 'reason')} ${textOf(one, 'issuer')}`);
  return formatTable([
    ...formatReach(blast),
    ['keys', keys.join(', ')],
    ['incomplete', incomplete.length === 0 ? 'no' : incomplete.join(', ')],
    ['world', textOf(blast, 'world')],
  ]);
}

function formatReach(blast: Answer): [string, string][] {
  if (blast.reach === 'unknown') return [['reach', 'not known: nobody can tell what hangs on this, it may be much']];
  const names = ['agents', 'tools', 'environments', 'points'].map((member): [string, string] => {
    const list = blast[member];
    const all = Array.isArray(list) ? list.map(String) : [];
    const shown = all.slice(0, 10).join(' ');
    return [member, `${all.length}${all.length === 0 ? '' : `: ${shown}${all.length > 10 ? ' …' : ''}`}`];
  });
  const lastUsed = textOf(blast, 'lastUsedAt');
  return [
    ['tokens', textOf(blast, 'tokenCount')],
    ['sessions', textOf(blast, 'sessionCount')],
    ['delegations', textOf(blast, 'delegationCount')],
    ...names,
    ['last used', blast.lastUsedOf === 'part' ? `${lastUsed} or later: not all of it could be looked up` : lastUsed],
  ];
}

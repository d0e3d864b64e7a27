/**
 * Environment → frozen, typed configuration. Each room declares its own settings; this is the one place that knows all of them.
 * docs/settings.md is written from here (`npm test` holds it to this).
 */
import { Type, type Static, type TSchema } from 'typebox';
import { accessSettings } from './access/settings.js';
import { KeelsonError } from './core/error.js';
import { eventlogSettings } from './eventlog/settings.js';
import { feedSettings } from './feed/settings.js';
import { httpSettings } from './http/settings.js';
import { registrationSettings } from './identity/registration/settings.js';
import { intakeSettings, uploadMemoryBytes } from './intake/settings.js';
import { ledgerSettings } from './ledger/settings.js';
import { describe, readEnvironment } from './platform/environment.js';
import { platformSettings } from './platform/settings.js';
import { revocationSettings } from './revocation/settings.js';
import { provisioningSettings } from './provisioning/settings.js';
import { searchSettings } from './search/settings.js';
import { vaultSettings } from './vault/settings.js';
import { parseEndpoints } from './webhooks/endpoints.js';
import { webhookSettings } from './webhooks/settings.js';

/** The rooms' settings, in the order of docs/settings.md. */
export const SETTINGS = [
  ['Process, data, database', platformSettings],
  ['HTTP', httpSettings],
  ['Access', accessSettings],
  ['Intake', intakeSettings],
  ['Vault', vaultSettings],
  ['Event log', eventlogSettings],
  ['Ledger', ledgerSettings],
  ['Search', searchSettings],
  ['Registration', registrationSettings],
  ['Revocation', revocationSettings],
  ['Provisioning', provisioningSettings],
  ['Webhooks', webhookSettings],
  ['Feed', feedSettings],
] as const;

const configSchema = Type.Object({
  ...platformSettings.properties,
  ...httpSettings.properties,
  ...accessSettings.properties,
  ...intakeSettings.properties,
  ...vaultSettings.properties,
  ...eventlogSettings.properties,
  ...ledgerSettings.properties,
  ...searchSettings.properties,
  ...registrationSettings.properties,
  ...revocationSettings.properties,
  ...provisioningSettings.properties,
  ...webhookSettings.properties,
  ...feedSettings.properties,
});

export type Config = Readonly<Static<typeof configSchema>>;

/** Variables of the command line's client and of the examples: not the server's, and no mistake. */
const CLIENT_VARIABLES = ['KEELSON_URL', 'KEELSON_TOKEN', 'KEELSON_TOKEN_FILE', 'KEELSON_OPA'];

/**
 * Reads the whole configuration.
 *
 * @throws KeelsonError `invalid_config`, with every problem in its message, one per line.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const { values, problems } = readEnvironment(configSchema, environment, CLIENT_VARIABLES);
  const all = [...problems, ...relate(values)];
  if (all.length > 0) throw new KeelsonError('invalid_config', all.join('\n'));
  return Object.freeze(values);
}

/** What only shows when settings are looked at together. */
function relate(config: Partial<Config>): string[] {
  const problems: string[] = [];
  if (config.KEELSON_MIGRATION_URL !== undefined && config.KEELSON_DATABASE_URL === undefined) {
    problems.push('KEELSON_MIGRATION_URL is set without KEELSON_DATABASE_URL, the role the service logs in with');
  }
  const sasl = [config.KEELSON_KAFKA_SASL_MECHANISM, config.KEELSON_KAFKA_USERNAME, config.KEELSON_KAFKA_PASSWORD];
  if (sasl.some((one) => one !== undefined) && sasl.includes(undefined)) {
    problems.push('KEELSON_KAFKA_SASL_MECHANISM, KEELSON_KAFKA_USERNAME and KEELSON_KAFKA_PASSWORD go together');
  }
  const { KEELSON_KAFKA_MIN_INSYNC_REPLICAS: insync, KEELSON_KAFKA_REPLICATION_FACTOR: replicas } = config;
  if (insync !== undefined && replicas !== undefined && insync > replicas) {
    problems.push(
      `KEELSON_KAFKA_MIN_INSYNC_REPLICAS is ${insync}, more than KEELSON_KAFKA_REPLICATION_FACTOR, ${replicas}`,
    );
  }
  const { KEELSON_HTTP_MEMORY_BYTES: memoryBytes } = config;
  const uploadBytes = uploadMemoryBytes(config as Config);
  if (memoryBytes !== undefined && memoryBytes < uploadBytes) {
    problems.push(
      `KEELSON_HTTP_MEMORY_BYTES is ${memoryBytes}, but a single upload may take ${uploadBytes}: raise it, or lower ` +
        'KEELSON_INTAKE_BODY_BYTES, KEELSON_INTAKE_DECODED_BYTES or KEELSON_INTAKE_MAX_ITEMS',
    );
  }
  try {
    if (config.KEELSON_WEBHOOKS !== undefined) parseEndpoints(config.KEELSON_WEBHOOKS);
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    problems.push(error.message);
  }
  return problems;
}

/** The text of docs/settings.md. */
export function formatSettings(): string {
  const lines = [
    '# Settings',
    '',
    'All of them are environment variables. An unknown `KEELSON_…` variable, or a value out of range, keeps Keelson from starting;',
    'all problems are told at once. A secret can be given as a file instead: append `_FILE` to its name.',
  ];
  for (const [title, schema] of SETTINGS) {
    lines.push('', `## ${title}`, '', '| variable | default | accepts | |', '|---|---|---|---|');
    for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
      const setting: TSchema & { default?: unknown; description?: string; secret?: boolean } = property;
      const value = setting.default === undefined ? '' : `\`${JSON.stringify(setting.default).replaceAll('"', '')}\``;
      const accepts = `${describe(setting).replaceAll('|', '\\|')}${setting.secret ? ', secret' : ''}`;
      lines.push(`| \`${name}\` | ${value} | ${accepts} | ${setting.description ?? ''} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

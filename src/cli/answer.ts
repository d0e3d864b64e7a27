/** Reading a server's JSON answers: their shape is checked where it is used, their numbers stay as they were written. */
import { LosslessNumber } from 'lossless-json';
import { CommandError, EXIT } from './exit.js';

export type Answer = Readonly<Record<string, unknown>>;

/** The object that a server answered. @throws CommandError `unreachable` for anything else. */
export function asObject(value: unknown): Answer {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Answer;
  throw new CommandError(EXIT.unreachable, 'the server answers in a form this version does not know');
}

/** The list in a member of an answer. */
export function listOf(answer: Answer, member: string): readonly Answer[] {
  const list = answer[member];
  if (Array.isArray(list)) return list.map(asObject);
  throw new CommandError(EXIT.unreachable, `the server's answer lacks ${member}`);
}

/** A member as text, for a table: strings, numbers and lists of them as they are, else `-`. */
export function textOf(answer: Answer, member: string): string {
  const value = answer[member];
  if (typeof value === 'string') return value;
  if (value instanceof LosslessNumber) return value.value;
  if (Array.isArray(value)) return value.map((item) => String(item)).join(' ');
  return typeof value === 'boolean' ? String(value) : '-';
}

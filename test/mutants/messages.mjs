// Words for people are no mutants: a test asserts the code of an error, not its message.
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** `new Error(words)`, `new KeelsonError(code, words)`, `reader.fail(words)`, `malformed(…, words)`. */
function isMessage({ node, parent, key }) {
  if (parent === null || key === 'callee') return false;
  const { type, callee } = parent;
  const at = parent.arguments?.indexOf(node);
  if (type === 'NewExpression')
    return (callee.name === 'Error' && at === 0) || (callee.name === 'KeelsonError' && at === 1);
  if (type !== 'CallExpression') return false;
  return callee.name === 'malformed'
    ? at === parent.arguments.length - 1
    : callee.property?.name === 'fail' && at === 0;
}

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'messages', {
    shouldIgnore: (path) => (isMessage(path) ? 'words for people' : undefined),
  }),
];

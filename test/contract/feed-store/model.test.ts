import { Happened } from '../../sim/happened.js';
import { ModelStore } from '../../sim/store.js';
import { describeFeedStore } from './contract.js';

describeFeedStore('the simulation’s model', async () => {
  const model = new ModelStore(() => 0, new Happened());
  const connection = model.connect();
  let committed = 0;
  return {
    store: {
      readSize: async (_, instances = []) => connection.readSize(instances),
      changesSince: async (seq, limit) => connection.changesSince(seq, limit),
      folded: async () => connection.folded(),
    },
    commit: async () => {
      const id = `part ${committed++}`;
      model.commit({ id, term: 1, said: [{ what: 'block', names: [`agent/${id}`], order: id.slice(5) }] });
    },
    fold: async () => model.fold(),
    refuseWrites: async () => connection.becomeReplica(),
    close: async () => undefined,
  };
});

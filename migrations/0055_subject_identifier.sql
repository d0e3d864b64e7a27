-- Issuer and identifier of a person, under a subkey of the subject's: who is to be revoked has to be told by name. Persons made
-- before have none until they are met again.
alter table keelson.subject add column identifier bytea;
alter table keelson.subject
  add constraint subject_identifier_check check ((identifier is null) = (kind = 'record')) not valid;
grant update (identifier) on keelson.subject to keelson_writer;

-- Who holds a token, where that is known: a person as an issuer knows them. Nobody approves their own, whichever of their tokens they use.
alter table keelson.api_token add column holder_issuer text check (length(holder_issuer) <= 2048);
alter table keelson.api_token add column holder_id text check (length(holder_id) between 1 and 2048);
alter table keelson.api_token add constraint api_token_holder check ((holder_issuer is null) = (holder_id is null));

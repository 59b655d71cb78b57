-- The rights of a role that reads and writes rows: everything but upgrades of the schema, the registration of the first
-- model, re-embedding, and the building of a vector index that is missing. Those need the owner of the store.
--
-- Run it as a superuser in the store's database, by a psql that is told the role, the owner of the store, and its schema:
--
--   psql -v ON_ERROR_STOP=1 -v role=vestige_writer -v owner=vestige -v schema=vestige -d memory -f writer.sql
GRANT CONNECT ON DATABASE :"DBNAME" TO :"role";
ALTER ROLE :"role" IN DATABASE :"DBNAME" SET search_path = :"schema", public;
GRANT USAGE ON SCHEMA :"schema" TO :"role";
-- MAINTAIN is for vacuum and for rebuilding indexes that are there.
GRANT SELECT, INSERT, UPDATE, DELETE, MAINTAIN ON ALL TABLES IN SCHEMA :"schema" TO :"role";
-- Which migrations ran is for the owner to write.
REVOKE INSERT, UPDATE, DELETE, MAINTAIN ON :"schema"._sqlx_migrations FROM :"role";
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" TO :"role";
-- The same of what later versions of Vestige make.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema"
  GRANT SELECT, INSERT, UPDATE, DELETE, MAINTAIN ON TABLES TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT EXECUTE ON FUNCTIONS TO :"role";

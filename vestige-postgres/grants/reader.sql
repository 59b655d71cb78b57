-- The rights of a role that only reads: search, get, list, neighbors, stats, export, doctor.
--
-- Run it as a superuser in the store's database, by a psql that is told the role, the owner of the store, and its schema:
--
--   psql -v ON_ERROR_STOP=1 -v role=vestige_reader -v owner=vestige -v schema=vestige -d memory -f reader.sql
GRANT CONNECT ON DATABASE :"DBNAME" TO :"role";
ALTER ROLE :"role" IN DATABASE :"DBNAME" SET search_path = :"schema", public;
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" TO :"role";
-- The same of what later versions of Vestige make.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT EXECUTE ON FUNCTIONS TO :"role";

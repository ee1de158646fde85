CREATE FUNCTION raise_it(level text, words text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF level = 'error' THEN RAISE EXCEPTION '%', words USING ERRCODE = 'P0042', DETAIL = 'a detail', HINT = 'a hint', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd';
  ELSIF level = 'assert' THEN ASSERT false, words;
  ELSIF level = 'warning' THEN RAISE WARNING '%', words;
  ELSE RAISE NOTICE '%', words;
  END IF;
  RETURN length(words);
END $$;
SELECT raise_it('notice', 'a notice');
SELECT raise_it('warning', 'a warning');
SELECT raise_it('error', 'an error');
SELECT raise_it('assert', 'an assertion');
BEGIN;
SELECT raise_it('error', 'in a block');
SELECT raise_it('notice', 'not any more');
ROLLBACK;
CREATE FUNCTION caught(n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found text;
BEGIN
  PERFORM 1 / n;
  RETURN 'fine';
EXCEPTION WHEN division_by_zero THEN
  GET STACKED DIAGNOSTICS found = MESSAGE_TEXT;
  RETURN 'caught: ' || found;
END $$;
SELECT caught(1), caught(0);
CREATE FUNCTION deep(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF n = 0 THEN RETURN 1 / n; END IF;
  RETURN deep(n - 1);
END $$;
SELECT deep(2);
CREATE FUNCTION in_sql(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1::int';
SELECT in_sql('12');
SELECT in_sql('twelve');
CREATE FUNCTION writes(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.notes VALUES (n, 'by a function');
  RETURN n;
END $$;
SELECT writes(5);
SELECT writes(5);
SELECT body FROM notes WHERE id = 5;
CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN nothing; END $$;
SELECT broken();
CREATE FUNCTION broken() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION unfinished() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 END $$;
CREATE FUNCTION wrong() RETURNS int LANGUAGE sql AS 'SELECT ''text''';
SELECT no_such_function(1);
SELECT raise_it(1, 2);
DROP FUNCTION raise_it(text, text);
DROP FUNCTION caught;
DROP FUNCTION deep;
DROP FUNCTION in_sql, writes, broken;
DROP FUNCTION deep;
DROP FUNCTION IF EXISTS deep;

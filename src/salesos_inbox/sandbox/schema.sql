-- Times are milliseconds since 1970 in UTC; lists of strings are JSON.
-- Everything of a user carries user_id, so that no statement can reach another's mail.

CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE COLLATE NOCASE,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  organization_id TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS passwords (
  user_id TEXT PRIMARY KEY REFERENCES users (id),
  salt BLOB NOT NULL,
  hash BLOB NOT NULL,  -- scrypt
  two_factor_code TEXT  -- what a sign-in must give as well
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sessions (
  jti TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  csrf_token TEXT NOT NULL,
  announce INTEGER NOT NULL DEFAULT 0  -- the next response hands the token out
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS api_keys (
  key TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  scopes TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS folders (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  type TEXT NOT NULL,
  name TEXT NOT NULL COLLATE NOCASE,
  position INTEGER NOT NULL,
  UNIQUE (user_id, name)
) WITHOUT ROWID;

-- The columns from `subject` to `participants` are a summary of the thread's messages (threads.summarise).
CREATE TABLE IF NOT EXISTS threads (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL REFERENCES users (id),
  folder_id TEXT NOT NULL REFERENCES folders (id),
  is_read INTEGER NOT NULL DEFAULT 1,
  is_starred INTEGER NOT NULL DEFAULT 0,
  follow_up_at INTEGER,
  follow_up_note TEXT,
  subject TEXT NOT NULL DEFAULT '' COLLATE NOCASE,
  snippet TEXT NOT NULL DEFAULT '',
  last_message_at INTEGER NOT NULL DEFAULT 0,
  message_count INTEGER NOT NULL DEFAULT 0,
  has_attachments INTEGER NOT NULL DEFAULT 0,
  has_sent INTEGER NOT NULL DEFAULT 0,
  has_draft INTEGER NOT NULL DEFAULT 0,
  awaits_reply INTEGER NOT NULL DEFAULT 0,
  participants TEXT NOT NULL DEFAULT '[]'
);
-- Lists walk one of these in order; counts are answered from them alone.
CREATE INDEX IF NOT EXISTS threads_by_time
  ON threads (user_id, last_message_at, row, folder_id, is_read, is_starred, has_attachments, awaits_reply);
CREATE INDEX IF NOT EXISTS threads_by_subject ON threads (user_id, subject, row, folder_id);
CREATE INDEX IF NOT EXISTS threads_by_folder ON threads (user_id, folder_id, last_message_at, row, is_read);
CREATE INDEX IF NOT EXISTS threads_sent ON threads (user_id, last_message_at, row, folder_id, is_read) WHERE has_sent;
CREATE INDEX IF NOT EXISTS threads_drafted ON threads (user_id, last_message_at, row, folder_id, is_read) WHERE has_draft;
CREATE INDEX IF NOT EXISTS threads_starred ON threads (user_id, last_message_at, row, folder_id) WHERE is_starred;
CREATE INDEX IF NOT EXISTS threads_unread ON threads (user_id, last_message_at, row, folder_id) WHERE NOT is_read;
CREATE INDEX IF NOT EXISTS threads_followed ON threads (user_id, follow_up_at) WHERE follow_up_at IS NOT NULL;

-- Everyone who ever wrote to a user, and what any part of their name or address finds them by.
CREATE TABLE IF NOT EXISTS senders (
  row INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  email TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL,
  UNIQUE (user_id, email, name)
);
CREATE VIRTUAL TABLE IF NOT EXISTS sender_search USING fts5 (email, name, content = '', tokenize = 'trigram');

-- Without its bodies a message is small, and joins over many of them stay fast.
CREATE TABLE IF NOT EXISTS messages (
  row INTEGER PRIMARY KEY,
  thread_row INTEGER NOT NULL REFERENCES threads (row),
  sender_row INTEGER NOT NULL REFERENCES senders (row),
  at INTEGER NOT NULL,  -- its place in the thread: when sent, or when a draft was last saved
  user_id TEXT NOT NULL REFERENCES users (id),
  id TEXT NOT NULL UNIQUE,
  key TEXT,  -- what makes a second copy a duplicate; none for drafts
  message_id TEXT,
  in_reply_to TEXT,
  refs TEXT NOT NULL DEFAULT '[]',
  from_name TEXT NOT NULL DEFAULT '',
  from_email TEXT NOT NULL COLLATE NOCASE,
  to_emails TEXT NOT NULL DEFAULT '[]',
  cc_emails TEXT NOT NULL DEFAULT '[]',
  bcc_emails TEXT NOT NULL DEFAULT '[]',
  subject TEXT NOT NULL,
  subject_key TEXT NOT NULL,
  snippet TEXT NOT NULL,
  direction TEXT NOT NULL,
  status TEXT NOT NULL,
  request_id TEXT,
  UNIQUE (user_id, key)
);
CREATE INDEX IF NOT EXISTS messages_of_thread ON messages (thread_row, at);
CREATE INDEX IF NOT EXISTS messages_by_subject ON messages (user_id, subject_key, at);
CREATE INDEX IF NOT EXISTS messages_by_sender ON messages (sender_row, thread_row);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (user_id, status, at);

-- Searches look up thousands of messages and threads by row: here they find them without their texts.
CREATE INDEX IF NOT EXISTS messages_for_search ON messages (row, user_id, thread_row, at);
CREATE INDEX IF NOT EXISTS threads_for_search ON threads (row, folder_id, last_message_at);

CREATE TABLE IF NOT EXISTS bodies (
  message_row INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
  text TEXT,
  html TEXT
);

CREATE TABLE IF NOT EXISTS attachments (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  message_row INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
  filename TEXT,
  content_type TEXT NOT NULL,
  size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS attachments_of_message ON attachments (message_row);

-- Every Message-ID ever seen or named, and the thread it belongs to: messages that name the same
-- missing parent meet here.
CREATE TABLE IF NOT EXISTS known_ids (
  user_id TEXT NOT NULL,
  message_id TEXT NOT NULL,
  thread_row INTEGER NOT NULL REFERENCES threads (row) ON DELETE CASCADE,
  PRIMARY KEY (user_id, message_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_ids_of_thread ON known_ids (thread_row);

CREATE TABLE IF NOT EXISTS scheduled (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  thread_row INTEGER REFERENCES threads (row) ON DELETE SET NULL,
  scheduled_for INTEGER NOT NULL,
  is_sent INTEGER NOT NULL DEFAULT 0,
  message_id TEXT NOT NULL,
  email TEXT NOT NULL,  -- the request's body
  request_id TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS scheduled_by_time ON scheduled (is_sent, scheduled_for);
CREATE INDEX IF NOT EXISTS scheduled_of_thread ON scheduled (thread_row);

CREATE TABLE IF NOT EXISTS crm_records (
  user_id TEXT NOT NULL REFERENCES users (id),
  entity_type TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (user_id, entity_type, entity_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS crm_links (
  thread_row INTEGER NOT NULL REFERENCES threads (row) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  entity_type TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  PRIMARY KEY (thread_row, entity_type, entity_id),
  FOREIGN KEY (user_id, entity_type, entity_id) REFERENCES crm_records (user_id, entity_type, entity_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS crm_links_of_record ON crm_links (user_id, entity_type, entity_id);

-- Its rowid is the message's row.
CREATE VIRTUAL TABLE IF NOT EXISTS message_search
  USING fts5 (subject, body, sender, recipients, tokenize = 'unicode61 remove_diacritics 2');
-- Words are gathered in 16 MB of memory before they are sorted into the index.
INSERT INTO message_search (message_search, rank) VALUES ('hashsize', 16777216);
-- Every word in it, for writing out the beginning of one. Of one user's words another learns nothing.
CREATE VIRTUAL TABLE IF NOT EXISTS message_words USING fts5vocab (message_search, instance);

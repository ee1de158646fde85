# DBD::Pg: the common checks, and DBI's calls for metadata. libpq reads the rest of each
# connection from the environment.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types :async);
use JSON::PP;
use Time::HiRes qw(sleep);

use constant { ACCOUNTS => 1000, COPY_ROWS => 5000, CHECK_SECONDS => 40 };

my @keys  = ( 1 .. 16 );
my @texts = (
    a_boolean      => '1',
    a_smallint     => '-32768',
    an_integer     => '2147483647',
    a_bigint       => '-9223372036854775808',
    a_numeric      => '12345678901234567890.0123456789',
    a_real         => '1.5',
    a_double       => '0.1',
    a_text         => "grüße, 世界 😀 'quoted' \\ \"double\"\nline",
    a_varchar      => 'varying',
    a_char         => 'fix  ',
    a_date         => '2024-02-29',
    a_time         => '23:59:59.123456',
    a_timetz       => '12:30:00+02',
    a_timestamp    => '2024-02-29 12:34:56.789012',
    a_timestamptz  => '2024-02-29 10:34:56.789012+00',
    an_interval    => '3 days 04:05:06.789',
    a_uuid         => 'c8f1b7f0-3d6e-4f0b-9f43-6f5a9c1f2d3e',
    a_json         => '{"a": [1, 2.5, null], "b": "x"}',
    a_jsonb        => '{"a": [1, 2.5, null], "b": "x"}',
    integers       => [ 1, undef, -3 ],
    texts          => [ 'plain', 'with, comma', undef, 'quote"d' ],
    an_inet        => '192.168.1.5/24',
    a_cidr         => '10.0.0.0/8',
    a_macaddr      => '08:00:2b:01:02:03',
    a_bit          => '10101010',
    a_varbit       => '10111',
    a_point        => '(1.5,-2)',
    an_int4range   => '[1,10)',
    a_tstzrange    => '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")',
    an_xml         => '<a><b>1</b></a>',
    a_money        => '$1,234.56',
    a_mood         => 'happy',
    a_posint       => '7',
    a_comp         => '(3,"a ""b"", c")',
);

my $json = JSON::PP->new->canonical->allow_nonref;
my ( @order, %checks );

sub check {
    my ( $name, $block ) = @_;
    push @order, $name;
    $checks{$name} = $block;
}

sub expect {
    my ( $actual, $expected, $what ) = @_;
    my ( $got, $want ) = map { $json->encode($_) } $actual, $expected;
    # A number that was read is text.
    s/"(-?[0-9]+(?:[.][0-9]+)?)"/$1/g for $got, $want;
    return if $got eq $want;
    die sprintf "%s: %.200s, expected %.200s\n", $what, $got, $want;
}

sub connected {
    my (%more) = @_;
    my $dbh = DBI->connect( 'dbi:Pg:' . ( $more{source} // '' ),
        $ENV{PGUSER}, $more{password} // $ENV{PGPASSWORD},
        { AutoCommit => 1, RaiseError => 1, PrintError => 0, PrintWarn => 0 } );
    $dbh->do("SET TimeZone = 'UTC'");
    return $dbh;
}

# The handle's error, which has to be of that SQLSTATE.
sub fails {
    my ( $dbh, $sqlstate, $block ) = @_;
    my $done = eval { $block->(); 1 };
    die "no error, expected $sqlstate\n" if $done;
    expect( $dbh->state, $sqlstate, "the SQLSTATE of $@" );
}

sub rows {
    my ( $dbh, $sql, @values ) = @_;
    return $dbh->selectall_arrayref( $sql, undef, @values );
}

check connect => sub {
    my $dbh = connected( source => 'application_name=matrix' );
    expect(
        rows( $dbh, "SELECT current_user, current_database(), current_setting('application_name')" ),
        [ [ $ENV{PGUSER}, $ENV{PGDATABASE}, 'matrix' ] ], 'who and where'
    );
    expect( $dbh->{pg_server_version} >= 140000 ? 1 : 0, 1, "the server's version" );
    expect( $dbh->ping, 1, 'ping' );
    expect( rows( $dbh, 'SHOW TimeZone' ), [ ['UTC'] ], 'the zone' );
    $dbh->disconnect;
    eval { connected( password => 'not it' ); 1 } and die "connected with a wrong password\n";
    die "another reason: $@" if $@ !~ /password authentication failed/;
};

check 'types-text' => sub {
    my $dbh = connected();
    my ( @columns, @values );
    for ( my $n = 0 ; $n < @texts ; $n += 2 ) {
        push @columns, $texts[$n];
        push @values,  $texts[ $n + 1 ];
    }
    my $bytes  = "\x00\x01\xfe\xff'\\";
    my $list   = join ', ', @columns, 'a_bytea';
    my $marks  = join ', ', ('?') x ( @columns + 2 );
    my $insert = $dbh->prepare("INSERT INTO every_type (id, $list) VALUES ($marks)");
    $insert->bind_param( @columns + 2, undef, { pg_type => PG_BYTEA } );
    for my $key (@keys) {
        $insert->execute( $key, $key % 2 ? (undef) x ( @columns + 1 ) : ( @values, $bytes ) );
    }
    my $nulls = [ (undef) x ( @columns + 1 ) ];
    my $all   = [ @values, $bytes ];
    for my $key (@keys) {
        my $row = rows( $dbh, "SELECT $list FROM every_type WHERE id = ?", $key )->[0];
        for my $n ( 0 .. @columns ) {
            my $expected = ( $key % 2 ? $nulls : $all )->[$n];
            expect( $row->[$n], $expected, ( $columns[$n] // 'a_bytea' ) . " of $key" );
        }
    }
    expect( rows( $dbh, "SELECT $list FROM every_type ORDER BY id" ),
        [ ( $nulls, $all ) x 8 ], 'of all placements' );
};

check 'types-binary' => sub { die { absent => 'DBD::Pg reads results as text alone' } };

check prepared => sub {
    my ( $dbh, $other ) = ( connected(), connected() );
    $dbh->{pg_switch_prepared} = 1;
    my $sth  = $dbh->prepare('SELECT id, owner FROM accounts WHERE id = ?');
    my $read = sub {
        for my $key (@_) {
            $sth->execute($key);
            expect( $sth->fetchall_arrayref, [ [ $key, "owner $key" ] ], "account $key" );
        }
    };
    $read->( 1 .. 20 );
    expect( $sth->{NAME}, [ 'id', 'owner' ], 'its columns' );
    $other->do('ALTER TABLE accounts ADD COLUMN added integer DEFAULT 5');
    $read->( 21 .. 40 );
    $other->do('ALTER TABLE accounts DROP COLUMN added');
    $read->( 41 .. 60 );
    # Its end sends DEALLOCATE.
    undef $sth;
    for my $round ( 1 .. 30 ) {
        my $short = $dbh->prepare("SELECT ?::integer + $round");
        for my $n ( 1 .. 3 ) {
            $short->execute($n);
            expect( $short->fetchall_arrayref, [ [ $n + $round ] ], 'a short-lived statement' );
        }
    }
};

check pipeline => sub { die { absent => 'DBD::Pg sends one statement at a time' } };

check copy => sub {
    my $dbh   = connected();
    my @notes = ( undef, '', "tab\tline\nback\\slash", '\\N', 'ü世😀', 'quote " and, comma' );
    my @rows  = map { [ 30_000 + $_, "copied $_", sprintf( '%.2f', $_ / 100 ), $notes[ $_ % 6 ] ] }
      0 .. COPY_ROWS - 1;
    my $selected = 'SELECT id, owner, balance, note FROM accounts WHERE id >= 30000 ORDER BY id';
    $dbh->begin_work;
    $dbh->do('COPY accounts (id, owner, balance, note) FROM STDIN');
    $dbh->pg_putcopydata( join( "\t", map { copy_text($_) } @$_ ) . "\n" ) for @rows;
    $dbh->pg_putcopyend;
    expect( rows( $dbh, $selected ), \@rows, 'what is there' );
    $dbh->do("COPY ($selected) TO STDOUT");
    my ( $line, @lines ) = ('');
    push @lines, $line while $dbh->pg_getcopydata( \$line ) >= 0;
    expect( \@lines, [ map { join( "\t", map { copy_text($_) } @$_ ) . "\n" } @rows ], 'copied out' );
    $dbh->rollback;
    $dbh->do('COPY accounts (id, owner, balance, note) FROM STDIN');
    $dbh->pg_putcopydata("30000\tgood\t1\t\\N\n30001\tbad\tnot a number\t\\N\n");
    fails( $dbh, '22P02', sub { $dbh->pg_putcopyend } );
    die 'no line in ' . $dbh->errstr . "\n" if $dbh->errstr !~ /line 2/;
    expect( rows( $dbh, $selected ), [], 'nothing of what failed' );
};

sub copy_text {
    my ($value) = @_;
    return '\\N' if !defined $value;
    $value =~ s/\\/\\\\/g;
    $value =~ s/\t/\\t/g;
    $value =~ s/\n/\\n/g;
    return $value;
}

check cursor => sub {
    my $dbh = connected();
    $dbh->begin_work;
    $dbh->do( 'DECLARE all_of_them CURSOR FOR SELECT id FROM accounts WHERE id <= '
          . ACCOUNTS
          . ' ORDER BY id' );
    my ( $piece, @read );
    do {
        $piece = $dbh->selectcol_arrayref('FETCH 150 FROM all_of_them');
        push @read, @$piece;
    } while (@$piece);
    expect( \@read, [ 1 .. ACCOUNTS ], '150 at a time' );
    $dbh->do('CLOSE all_of_them');
    $dbh->commit;
};

check cancel => sub {
    my $dbh = connected();
    for my $sql ( 'SELECT pg_sleep(20)',
        'SELECT count(*) FROM accounts WHERE pg_sleep(id * 0.1) IS NOT NULL' )
    {
        $dbh->do( $sql, { pg_async => PG_ASYNC } );
        sleep 0.5;
        expect( $dbh->pg_ready ? 1 : 0, 0, 'it runs' );
        expect( $dbh->pg_cancel ? 1 : 0, 1, 'cancelled' );
        expect( $dbh->state, '57014', 'its SQLSTATE' );
        expect( rows( $dbh, 'SELECT 1' ), [ [1] ], 'the connection goes on' );
    }
};

check transactions => sub {
    my $first  = 50_000;
    my $insert = 'INSERT INTO accounts (id, owner) VALUES (?, ?)';
    my ( $dbh, $other ) = ( connected(), connected() );
    my $present = sub {
        return $_[0]->selectcol_arrayref( 'SELECT id - ?::bigint FROM accounts'
              . ' WHERE id >= ? AND id < ? ORDER BY id', undef, $first, $first, $first + 1000 );
    };
    $dbh->begin_work;
    $dbh->do( $insert, undef, $first + $_, 'committed' ) for 0 .. 15;
    expect( $present->($other), [], 'before the commit' );
    $dbh->commit;
    expect( $present->($other), [ 0 .. 15 ], 'after the commit' );
    $dbh->begin_work;
    $dbh->do( 'DELETE FROM accounts WHERE id >= ? AND id < ?', undef, $first, $first + 1000 );
    expect( $present->($dbh), [], 'within the transaction' );
    $dbh->rollback;
    expect( $present->($other), [ 0 .. 15 ], 'after the rollback' );
    $dbh->begin_work;
    $dbh->do( $insert, undef, $first + 20, 'outer' );
    $dbh->pg_savepoint('inner_one');
    $dbh->do( $insert, undef, $first + $_, 'inner' ) for 30 .. 45;
    fails( $dbh, '23505', sub { $dbh->do( $insert, undef, $first, 'there already' ) } );
    fails( $dbh, '25P02', sub { $dbh->do('SELECT 1') } );
    $dbh->pg_rollback_to('inner_one');
    $dbh->commit;
    expect( $present->($other), [ 0 .. 15, 20 ], 'after a savepoint and the commit' );
    $dbh->{ReadOnly} = 1;
    $dbh->begin_work;
    fails( $dbh, '25006', sub { $dbh->do( $insert, undef, $first + 99, 'read only' ) } );
    $dbh->rollback;
};

check listen => sub {
    my ( $dbh, $other ) = ( connected(), connected() );
    $dbh->do('LISTEN matrix');
    $other->do("NOTIFY matrix, 'from another'");
    my $notify;
    for ( 1 .. 100 ) {
        last if $notify = $dbh->pg_notifies;
        sleep 0.1;
    }
    expect( [ @{ $notify // [] }[ 0, 2 ] ], [ 'matrix', 'from another' ], 'a notification' );
};

check errors => sub {
    my $dbh = connected();
    for my $key (@keys) {
        fails( $dbh, '23505',
            sub { $dbh->do( "INSERT INTO accounts (id, owner) VALUES (?, '')", undef, $key ) } );
        expect(
            [ map { $dbh->pg_error_field($_) } 'schema', 'table', 'constraint', 'detail' ],
            [ 'public', 'accounts', 'accounts_pkey', "Key (id)=($key) already exists." ],
            'the fields of 23505'
        );
    }
    fails( $dbh, '42601', sub { $dbh->do('SELECT * FORM accounts') } );
    expect( $dbh->pg_error_field('statement_position'), 10, 'the position of the syntax error' );
    fails( $dbh, '22P02', sub { rows( $dbh, 'SELECT * FROM accounts WHERE id = ?', 'x' ) } );
    expect( rows( $dbh, 'SELECT owner FROM accounts WHERE id = 1' ), [ ['owner 1'] ], 'after them' );
};

check reconnect => sub {
    my $dbh = connected();
    $dbh->do($_)
      for "SET idle_in_transaction_session_timeout = '100ms'",
      'BEGIN',
      # What a session has on one server alone.
      'CREATE TEMPORARY TABLE of_this_session (n integer)';
    sleep 0.6;
    eval { $dbh->do('SELECT 1'); 1 } and die "the server did not close the connection\n";
    expect( $dbh->ping, 0, 'the driver knows that it is closed' );
    my $another = $dbh->clone;
    expect( rows( $another, 'SELECT owner FROM accounts WHERE id = 9' ), [ ['owner 9'] ], 'anew' );
};

check large => sub {
    my $dbh  = connected();
    my $text = '0123456789abcdef' x 65_536;
    $dbh->begin_work;
    $dbh->do( "INSERT INTO accounts (id, owner, note) VALUES (?, '', ?)", undef, 70_000, $text );
    my $note = rows( $dbh, 'SELECT note FROM accounts WHERE id = ?', 70_000 )->[0][0];
    die "not the text of 1 MB\n" if $note ne $text;
    $dbh->rollback;
    my $read = $dbh->selectcol_arrayref('SELECT n FROM generate_series(1, 100000) AS n');
    expect( [ scalar @$read, $read->[0], $read->[-1] ], [ 100_000, 1, 100_000 ], '100,000 rows' );
    $read = $dbh->selectcol_arrayref(
        'SELECT id FROM accounts, generate_series(1, 100) WHERE id <= ' . ACCOUNTS );
    expect( scalar @$read, 100_000, '100,000 rows of a scatter' );
};

check metadata => sub {
    my $dbh    = connected();
    my $tables = $dbh->table_info( undef, 'public', '%', 'TABLE' )->fetchall_arrayref( {} );
    my %names  = map { $_->{TABLE_NAME} => 1 } @$tables;
    for my $name (qw(accounts entries every_type kinds)) {
        die "no table $name\n" if !$names{$name};
    }
    my $columns = $dbh->column_info( undef, 'public', 'accounts', '%' )->fetchall_arrayref( {} );
    expect(
        [ map { [ @$_{qw(COLUMN_NAME TYPE_NAME NULLABLE)} ] } @$columns ],
        [
            [ 'id',      'bigint',  0 ],
            [ 'owner',   'text',    0 ],
            [ 'balance', 'numeric', 0 ],
            [ 'note',    'text',    1 ]
        ],
        'columns'
    );
    expect( [ $dbh->primary_key( undef, 'public', 'entries' ) ], [ 'account_id', 'id' ], 'a key' );
    my $keys = $dbh->foreign_key_info( undef, undef, undef, undef, 'public', 'entries' )
      ->fetchall_arrayref( {} );
    expect( [ map { [ @$_{qw(UK_TABLE_NAME UK_COLUMN_NAME FK_COLUMN_NAME)} ] } @$keys ],
        [ [ 'accounts', 'id', 'account_id' ] ], 'a foreign key' );
    my $indexes = $dbh->statistics_info( undef, 'public', 'accounts', 1, 1 )->fetchall_arrayref( {} );
    expect( [ map { $_->{COLUMN_NAME} // () } @$indexes ], ['id'], 'an index' );
};

check 'last-insert-id' => sub {
    my $dbh = connected();
    $dbh->begin_work;
    my $insert = 'INSERT INTO entries (account_id, amount) VALUES (?, 1) RETURNING id';
    for my $key (@keys) {
        my ($id) = $dbh->selectrow_array( $insert, undef, $key );
        expect( $dbh->last_insert_id( undef, 'public', 'entries', undef, { sequence => 'entries_id_seq' } ),
            $id, 'by the sequence' );
    }
    $dbh->rollback;
};

binmode STDERR, ':encoding(UTF-8)';
$| = 1;
for my $name (@order) {
    next if @ARGV && !grep { $_ eq $name } @ARGV;
    my %result = ( check => $name, outcome => 'passed' );
    my $done   = eval {
        local $SIG{ALRM} = sub { die "no end after ${\CHECK_SECONDS} s\n" };
        alarm CHECK_SECONDS;
        $checks{$name}->();
        1;
    };
    my $error = $@;
    alarm 0;
    if ( !$done && ref $error ) {
        @result{qw(outcome detail)} = ( 'absent', $error->{absent} );
    }
    elsif ( !$done ) {
        chomp $error;
        @result{qw(outcome detail)} = ( 'failed', substr $error, 0, 500 );
    }
    print JSON::PP->new->canonical->ascii->encode( \%result ), "\n";
}

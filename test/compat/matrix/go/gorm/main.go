// GORM over pgx: models and associations on sharded tables, as an application declares them.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"colonnade/compat/check"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// Account is sharded by its id.
type Account struct {
	ID      int64 `gorm:"primaryKey;autoIncrement:false"`
	Owner   string
	Balance float64
	Note    *string
	Entries []Entry
}

// Entry stands with its account.
type Entry struct {
	AccountID int64 `gorm:"primaryKey;autoIncrement:false"`
	ID        int64 `gorm:"primaryKey;default:(-)"`
	Amount    float64
	At        time.Time `gorm:"default:now()"`
}

// Feature is a table that the map does not list.
type Feature struct {
	ID   uint
	Name string `gorm:"size:40;uniqueIndex"`
	On   bool   `gorm:"not null;default:true"`
	Made time.Time
}

// The same with another column.
type widerFeature struct {
	Feature
	Extra string
}

// TableName is GORM's way to ask for it.
func (widerFeature) TableName() string { return "features" }

func main() {
	check.Run(
		check.Check{ID: "connect", Run: connects},
		check.Check{ID: "prepared", Run: prepared},
		check.Check{ID: "transactions", Run: transactions},
		check.Check{ID: "errors", Run: reportsErrors},
		check.Check{ID: "models", Run: models},
		check.Check{ID: "associations", Run: associations},
		check.Check{ID: "upsert", Run: upserts},
		check.Check{ID: "batches", Run: batches},
		check.Check{ID: "migrator", Run: migrates},
	)
}

func open(ctx context.Context, t *check.T, config gorm.Config) *gorm.DB {
	config.Logger = logger.Discard
	db, err := gorm.Open(postgres.Open(""), &config)
	t.OK(err, "connecting")
	return db.WithContext(ctx)
}

func closes(db *gorm.DB) {
	if pool, err := db.DB(); err == nil {
		_ = pool.Close()
	}
}

func connects(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{})
	defer closes(db)
	var user string
	t.OK(db.Raw("SELECT current_user").Scan(&user).Error, "asking")
	t.Equal("current_user", user, check.Environment("PGUSER"))
	_, err := gorm.Open(postgres.Open("password=wrong"), &gorm.Config{Logger: logger.Discard})
	t.SQLState("a wrong password", err, "28P01")
}

func prepared(ctx context.Context, t *check.T) {
	for _, simple := range []bool{false, true} {
		dialect := postgres.New(postgres.Config{PreferSimpleProtocol: simple})
		db, err := gorm.Open(dialect, &gorm.Config{PrepareStmt: !simple, Logger: logger.Discard})
		t.OK(err, "connecting")
		for id := int64(1); id <= 20; id++ {
			var account Account
			t.OK(db.WithContext(ctx).First(&account, id).Error, "First")
			t.Equal("owner", account.Owner, fmt.Sprintf("owner %d", id))
			t.Equal("balance", account.Balance, 100.0)
		}
		closes(db)
	}
}

func models(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{})
	defer closes(db)
	note := "made"
	for id := int64(2001); id <= 2008; id++ {
		t.OK(db.Create(&Account{ID: id, Owner: "gorm", Balance: float64(id), Note: &note}).Error, "Create")
	}
	var found []Account
	t.OK(db.Where("owner = ? AND balance > ?", "gorm", 2004).Order("balance DESC").Limit(3).Offset(1).Find(&found).Error, "Find")
	t.Equal("found", idsOf(found), []int64{2007, 2006, 2005})
	t.Equal("note", *found[0].Note, "made")
	var count int64
	t.OK(db.Model(&Account{}).Where("owner = ?", "gorm").Count(&count).Error, "Count")
	t.Equal("count", count, int64(8))
	var sums []struct {
		Owner string
		Total float64
	}
	t.OK(db.Model(&Account{}).Select("owner, sum(balance) AS total").Where("id > ?", 2000).Group("owner").Having("count(*) > ?", 1).Scan(&sums).Error, "Group")
	t.Equal("groups", fmt.Sprint(sums), "[{gorm 16036}]")
	changed := db.Model(&Account{}).Where("owner = ?", "gorm").Updates(map[string]any{"note": nil, "balance": gorm.Expr("balance + ?", 1)})
	t.OK(changed.Error, "Updates")
	t.Equal("rows updated", changed.RowsAffected, int64(8))
	var first Account
	t.OK(db.Where(&Account{Owner: "gorm"}).Order("id").First(&first).Error, "First")
	t.Equal("first", []any{first.ID, first.Balance, first.Note == nil}, []any{int64(2001), 2002.0, true})
	first.Owner = "saved"
	t.OK(db.Save(&first).Error, "Save")
	t.OK(db.Delete(&Account{}, []int64{2002, 2003}).Error, "Delete")
	t.True(errors.Is(db.First(&Account{}, 2002).Error, gorm.ErrRecordNotFound), "a deleted row is not found")
	var owners []string
	t.OK(db.Model(&Account{}).Distinct("owner").Where("id > ?", 2000).Order("owner").Pluck("owner", &owners).Error, "Pluck")
	t.Equal("owners", owners, []string{"gorm", "saved"})
}

func idsOf(accounts []Account) []int64 {
	ids := make([]int64, 0, len(accounts))
	for _, account := range accounts {
		ids = append(ids, account.ID)
	}
	return ids
}

func associations(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{})
	defer closes(db)
	for id := int64(3001); id <= 3006; id++ {
		account := Account{ID: id, Owner: "parent", Entries: []Entry{{Amount: 1}, {Amount: 2.5}}}
		t.OK(db.Create(&account).Error, "Create with associations")
		for _, entry := range account.Entries {
			t.True(entry.AccountID == id && entry.ID > 0 && !entry.At.IsZero(), "the entry has its keys and its time")
		}
	}
	var parents []Account
	t.OK(db.Preload("Entries", func(db *gorm.DB) *gorm.DB { return db.Order("amount DESC") }).Where("owner = ?", "parent").Order("id").Find(&parents).Error, "Preload")
	t.Equal("parents", idsOf(parents), []int64{3001, 3002, 3003, 3004, 3005, 3006})
	for _, parent := range parents {
		t.Equal("entries", len(parent.Entries), 2)
		t.Equal("amounts", []float64{parent.Entries[0].Amount, parent.Entries[1].Amount}, []float64{2.5, 1})
	}
	var joined []struct {
		Owner  string
		Amount float64
	}
	t.OK(db.Table("accounts").Select("accounts.owner, entries.amount").Joins("JOIN entries ON entries.account_id = accounts.id").
		Where("entries.amount > ?", 2).Scan(&joined).Error, "Joins")
	t.Equal("joined", len(joined), 6)
	t.Equal("count of an association", db.Model(&parents[0]).Association("Entries").Count(), int64(2))
	t.OK(db.Select("Entries").Delete(&parents[0]).Error, "Delete with associations")
	var left int64
	t.OK(db.Model(&Entry{}).Where("account_id BETWEEN ? AND ?", 3001, 3006).Count(&left).Error, "Count")
	t.Equal("entries left", left, int64(10))
}

func upserts(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{})
	defer closes(db)
	accounts := make([]Account, 0, 8)
	for id := int64(997); id <= 1004; id++ {
		accounts = append(accounts, Account{ID: id, Owner: "upserted", Balance: 5})
	}
	update := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"owner"})}
	t.OK(db.Clauses(update).Create(&accounts).Error, "OnConflict DoUpdates")
	var stored []Account
	t.OK(db.Where("owner = ?", "upserted").Order("id").Find(&stored).Error, "Find")
	t.Equal("upserted", len(stored), 8)
	t.Equal("what was there keeps its balance", []float64{stored[0].Balance, stored[7].Balance}, []float64{100, 5})
	nothing := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&Account{ID: 997, Owner: "not taken"})
	t.OK(nothing.Error, "OnConflict DoNothing")
	t.Equal("rows inserted", nothing.RowsAffected, int64(0))
	returned := Account{ID: 998}
	t.OK(db.Model(&returned).Clauses(clause.Returning{}).Update("balance", gorm.Expr("balance * 2")).Error, "Returning")
	t.Equal("returned", []any{returned.Owner, returned.Balance}, []any{"upserted", 200.0})
	var locked Account
	t.OK(db.Transaction(func(tx *gorm.DB) error {
		return tx.Clauses(clause.Locking{Strength: "UPDATE"}).First(&locked, 998).Error
	}), "FOR UPDATE")
	t.Equal("locked", locked.Balance, 200.0)
}

func batches(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{})
	defer closes(db)
	accounts := make([]Account, 0, 1000)
	for id := int64(5001); id <= 6000; id++ {
		accounts = append(accounts, Account{ID: id, Owner: "batch", Balance: 1})
	}
	t.OK(db.CreateInBatches(&accounts, 300).Error, "CreateInBatches")
	seen := int64(5000)
	var page []Account
	result := db.Where("owner = ?", "batch").FindInBatches(&page, 170, func(_ *gorm.DB, _ int) error {
		for _, account := range page {
			seen++
			t.Equal("id", account.ID, seen)
		}
		return nil
	})
	t.OK(result.Error, "FindInBatches")
	t.Equal("last", seen, int64(6000))
	rows, err := db.Model(&Account{}).Where("owner = ?", "batch").Rows()
	t.OK(err, "Rows")
	defer rows.Close()
	count := 0
	for rows.Next() {
		var account Account
		t.OK(db.ScanRows(rows, &account), "ScanRows")
		count++
	}
	t.Equal("rows", count, 1000)
}

func transactions(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{})
	defer closes(db)
	set := func(tx *gorm.DB, from, to int64, note string) error {
		return tx.Model(&Account{}).Where("id BETWEEN ? AND ?", from, to).Update("note", note).Error
	}
	noted := func(note string) int64 {
		var count int64
		t.OK(db.Model(&Account{}).Where("note = ?", note).Count(&count).Error, "Count")
		return count
	}
	undo := errors.New("undo")
	err := db.Transaction(func(tx *gorm.DB) error {
		t.OK(set(tx, 101, 108, "outer"), "updating")
		inner := tx.Transaction(func(tx *gorm.DB) error {
			t.OK(set(tx, 101, 104, "inner"), "updating")
			return undo
		})
		t.True(errors.Is(inner, undo), "the inner transaction gives its error")
		return set(tx, 108, 108, "after")
	})
	t.OK(err, "Transaction")
	t.Equal("outer", noted("outer"), int64(7))
	t.Equal("inner", noted("inner"), int64(0))
	t.Equal("after", noted("after"), int64(1))
	err = db.Transaction(func(tx *gorm.DB) error {
		t.OK(set(tx, 101, 108, "second"), "updating")
		return undo
	})
	t.True(errors.Is(err, undo), "the transaction gives its error")
	t.Equal("second", noted("second"), int64(0))
}

func reportsErrors(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{TranslateError: true})
	defer closes(db)
	for id := int64(1); id <= 8; id++ {
		t.True(errors.Is(db.Create(&Account{ID: id, Owner: "twice"}).Error, gorm.ErrDuplicatedKey), "a duplicate is one")
		t.True(errors.Is(db.Create(&Entry{AccountID: id + 90_000, Amount: 1}).Error, gorm.ErrForeignKeyViolated), "a missing account is one")
	}
	t.SQLState("an unknown column", db.Where("nothing = 1").First(&Account{}).Error, "42703")
	var count int64
	t.OK(db.Model(&Account{}).Where("id <= 1000").Count(&count).Error, "Count")
	t.Equal("the connection goes on", count, int64(1000))
}

func migrates(ctx context.Context, t *check.T) {
	db := open(ctx, t, gorm.Config{})
	defer closes(db)
	migrator := db.Migrator()
	t.True(migrator.HasTable("accounts") && migrator.HasColumn(&Account{}, "note"), "the tables are found")
	t.True(!migrator.HasTable("nothing_of_this_name"), "what is not there is not")
	columns, err := migrator.ColumnTypes(&Account{})
	t.OK(err, "ColumnTypes")
	names := make([]string, 0, len(columns))
	for _, column := range columns {
		isNullable, _ := column.Nullable()
		names = append(names, fmt.Sprintf("%s %s %t", column.Name(), column.DatabaseTypeName(), isNullable))
	}
	t.Equal("columns", names, []string{"id int8 false", "owner text false", "balance numeric false", "note text true"})
	for range 2 {
		t.OK(db.AutoMigrate(&Feature{}), "AutoMigrate")
	}
	made := Feature{Name: "one", Made: time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)}
	t.OK(db.Create(&made).Error, "Create")
	t.True(made.ID > 0 && made.On, "the row comes back with its defaults")
	t.True(migrator.HasIndex(&Feature{}, "idx_features_name"), "the index is found")
	t.OK(migrator.AddColumn(&widerFeature{}, "Extra"), "AddColumn")
	t.True(migrator.HasColumn(&widerFeature{}, "extra"), "the column is found")
	t.OK(migrator.DropTable(&Feature{}), "DropTable")
	t.True(!migrator.HasTable(&Feature{}), "the table is gone")
}
